/** What the logins of a browser page have in common: how they begin and how an answer becomes a login. */
import type { BuiltIn, Provider, Verdict } from "./core.js";
import { KraubeError, load } from "./core.js";
import type { TokenSource } from "./source.js";

/** Who to log in at, and where the answer shall come. */
export interface LoginOptions {
  /** The authorization server, with the id of the application that you registered there. */
  provider: Provider | BuiltIn;
  /**
   * The page that the server sends the browser back to, exactly as it is registered there. It must be of this origin,
   * and it calls {@link finishLogin}.
   */
  redirectUri: string;
}

/** One attempt. It holds the verifier. */
export interface Attempt {
  pending: string;
  url: string;
  redirectUri: string;
}

/** Makes the authorization request. */
export async function begin({ provider, redirectUri }: LoginOptions): Promise<Attempt> {
  const core = await load();
  const attempt = core.begin({ provider, redirect: { type: "page", uri: redirectUri } });
  if (!isOurs(redirectUri)) {
    throw new KraubeError({
      code: "redirect_elsewhere",
      message: "the redirect URI is a page of another origin than this one",
      hint: "use a page of this origin, and register it at the server",
    });
  }
  return attempt;
}

/** A name that the browser does not read is none of its own. */
function isOurs(uri: string): boolean {
  try {
    return new URL(uri).origin === location.origin;
  } catch {
    return false;
  }
}

/** Judges the query of a page that the server may have sent the browser to. */
export async function judge(attempt: Pick<Attempt, "pending">, query: string): Promise<Verdict> {
  const core = await load();
  return core.receive(attempt.pending, { type: "query", query: query.replace(/^\?/, "") });
}

/**
 * Completes a login, or says why there is none.
 *
 * @throws {KraubeError} `denied`, or nothing could be stored.
 */
export async function complete(source: TokenSource, verdict: Exclude<Verdict, { type: "ignored" }>): Promise<void> {
  if (verdict.type === "denied") throw said(verdict);
  await source.install(verdict);
}

/** A verdict that brings no login, as an error. It says nothing about a login that is stored. */
export function said({ code, message, ...more }: Exclude<Verdict, { type: "code" }>): KraubeError {
  return new KraubeError({ code, message, hint: "hint" in more ? more.hint : null });
}
