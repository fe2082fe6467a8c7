/** One HTTP exchange for the core. Nothing here may send a second request by itself: that would be a second redemption. */
import type { Input, Request } from "./core.js";
import { words } from "./core.js";

/** A whole exchange takes no longer. It bounds how long a lock is held. */
const TOTAL = 15_000;
/** One byte more than the longest body that the core reads, so that it can tell one that was cut. */
const ENOUGH = 1024 * 1024 + 1;

/**
 * Sends the request. Without an answer it may have been sent: `fetch` does not tell a network that is down from an answer
 * that the browser keeps back (CORS), and in the second case the server has acted.
 */
export async function send(request: Request): Promise<Input> {
  const timer = new AbortController();
  const timeout = setTimeout(() => timer.abort(), TOTAL);
  try {
    const answer = await fetch(request.url, {
      method: "POST",
      headers: { "content-type": request.contentType, accept: request.accept },
      body: request.body,
      redirect: "error",
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: timer.signal,
    });
    const header = (name: string) => answer.headers.get(name);
    const response = { status: answer.status, contentType: header("content-type"), retryAfter: header("retry-after") };
    return { type: "replied", response: { ...response, body: await read(answer) } };
  } catch (error) {
    return { type: "replied", error: timer.signal.aborted ? LATE : { code: unsent(error), detail: describe(error) } };
  } finally {
    clearTimeout(timeout);
  }
}

const LATE = { code: "timed_out", detail: `no complete answer within ${TOTAL / 1000} s` } as const;

/** Deno asks for its permission before anything is sent. */
function unsent(error: unknown): "not_sent" | "maybe_sent" {
  return error instanceof Error && error.name === "NotCapable" ? "not_sent" : "maybe_sent";
}

async function read(answer: Response): Promise<Uint8Array> {
  const body = new Uint8Array(ENOUGH);
  let length = 0;
  const reader = answer.body?.getReader();
  while (reader !== undefined && length < ENOUGH) {
    const { done, value } = await reader.read();
    if (done) break;
    const fits = value.subarray(0, ENOUGH - length);
    body.set(fits, length);
    length += fits.length;
  }
  // The rest of a body without end.
  if (length === ENOUGH) reader?.cancel().catch(() => {});
  return body.subarray(0, length);
}

/** What the runtime says, and its causes: Node puts the reason there. The request's body is in none of them. */
function describe(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error; at instanceof Error && lines.length < 4; at = at.cause) lines.push(at.message);
  return words(lines.join(": ")) || "the request failed";
}
