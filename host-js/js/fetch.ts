/** `fetch` with the token in the header, for the origins that it is meant for. */
import { load } from "./core.js";
import type { Token, Tokens } from "./token.js";

/** Where the token may go. */
export interface FetchOptions {
  /**
   * The origins of the resource servers (`https://api.example.org`). Requests to all others are sent as they are,
   * without the token. Only `https`, and `http` on the loopback interface.
   */
  allowedOrigins: string[];
}

/**
 * Makes a `fetch` that adds the access token (RFC 6750 section 2.1) to requests of the allowed origins, unless they have
 * an `Authorization` header of their own.
 *
 * Where the answer is 401, the token is rejected, another one is asked for, and the request is sent once more, if its
 * body can be sent twice: one that is a stream cannot, and the answer is returned as it is. So is one of another origin
 * that the request was redirected to: `fetch` takes the token along to none, so the answer says nothing about it.
 *
 * @throws {KraubeError} Each call: an origin that a token must not be sent to, or no token is to be had. Whatever `fetch` throws.
 */
export function fetchWithToken(source: Tokens, { allowedOrigins }: FetchOptions): typeof fetch {
  let origins: Set<string> | undefined;
  return async (input, init) => {
    if (origins === undefined) {
      const core = await load();
      origins = new Set(allowedOrigins.map((origin) => new URL(core.origin(origin)).origin));
    }
    // A body that is a stream is used up by this; the other members can be read again.
    const whole = isWhole(input, init);
    const first = new Request(input, init);
    const { origin } = new URL(first.url);
    if (!origins.has(origin) || first.headers.has("authorization")) return fetch(first);
    const { signal } = first;
    const token = await source.token({ signal });
    const answer = await fetch(withToken(first, token));
    if (answer.status !== 401 || (answer.redirected && new URL(answer.url).origin !== origin)) return answer;
    source.reject(token);
    if (!whole && first.method !== "GET" && first.method !== "HEAD") return answer;
    await answer.body?.cancel();
    return fetch(withToken(new Request(input, init), await source.token({ signal })));
  };
}

function withToken(request: Request, token: Token): Request {
  request.headers.set("authorization", token.authorization());
  return request;
}

/**
 * Whether the body is there as a whole. A `Request` shows its body as a stream, whatever it was made of, and in Firefox
 * does not show it at all.
 */
function isWhole(input: RequestInfo | URL, init: RequestInit | undefined): boolean {
  const body: unknown = init?.body ?? (input instanceof Request ? input.body : null);
  if (body === null || typeof body === "string") return true;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return true;
  return [Blob, URLSearchParams, FormData].some((kind) => body instanceof kind);
}
