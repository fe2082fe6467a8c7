/** Login by sending the whole page to the server and back: {@link loginWithRedirect}, {@link finishLogin}. */
import { KraubeError } from "./core.js";
import type { Attempt, LoginOptions } from "./login.js";
import { begin, complete, judge, said } from "./login.js";
import { relay } from "./popup.js";
import type { TokenSource } from "./source.js";

/** The attempt of this tab. It outlives the way to the server, and nothing else. */
const PENDING = "kraube:pending";

/**
 * Sends this page to the authorization server. The attempt waits in `sessionStorage`, for ten minutes at most.
 *
 * It returns while the page is being left; a page that comes back to life (the person went back) may call it again.
 *
 * @throws {KraubeError} The provider or the redirect URI cannot be used. The page stays.
 */
export async function loginWithRedirect(options: LoginOptions): Promise<void> {
  const attempt = await begin(options);
  try {
    sessionStorage.setItem(PENDING, JSON.stringify(attempt));
  } catch {
    throw new KraubeError({
      code: "no_session_storage",
      message: "this browser lets this page store nothing for the way to the server and back",
      hint: "allow storage for this page, or log in in a popup",
    });
  }
  location.assign(attempt.url);
}

/** What {@link finishLogin} found. */
export type Finished =
  /** This page is not an answer of the server: nothing to do. */
  | "no_answer"
  /** A new login is stored. */
  | "logged_in"
  /** This window is the popup of another one, which has the answer now. It is being closed. */
  | "relayed";

/**
 * Takes the answer of the authorization server, on the page of the redirect URI: for {@link loginWithRedirect} and for the
 * popup of `loginWithPopup` alike. Call it once, when the page has loaded.
 *
 * An answer has a `state`, and a `code` or an `error` (RFC 6749 sections 4.1.2 and 4.1.2.1); any other page is left as it
 * is. The query of an answer is taken out of the address bar and out of the history, whatever comes of it. Whose answer it
 * is, its `state` tells, also on another page than that of the redirect URI (a server may add a slash to the path); there
 * the address keeps its path, and is not replaced by the redirect URI.
 *
 * @throws {KraubeError} `denied`; an answer that belongs to no login of this tab (a login that is under way goes on); the
 *   login of this tab is too old (`pending_expired`), and forgotten; nothing could be stored.
 */
export async function finishLogin(source: TokenSource): Promise<Finished> {
  const query = location.search;
  if (!isAnswer(query)) return "no_answer";
  const attempt = saved();
  // Its path alone may begin like the name of another host.
  const [page] = location.href.split(/[?#]/);
  history.replaceState(history.state, "", attempt !== null && isHere(attempt) ? attempt.redirectUri : page);
  let error: unknown = new KraubeError({
    code: "nothing_pending",
    message: "no login was begun in this tab, or it was finished already",
    hint: "begin a login first",
  });
  if (attempt !== null) {
    const verdict = await judge(attempt, query).catch((thrown: unknown) => {
      // It is of no use any more. A popup has a copy of what its opener left behind, and its own answer all the same.
      sessionStorage.removeItem(PENDING);
      error = thrown;
      return null;
    });
    if (verdict?.type === "ignored") {
      error = said(verdict);
    } else if (verdict !== null) {
      // Before the code is sent: it may be used once, also where this page is reloaded meanwhile.
      sessionStorage.removeItem(PENDING);
      await complete(source, verdict);
      return "logged_in";
    }
  }
  if (await relay(query)) {
    window.close();
    return "relayed";
  }
  throw error;
}

/** A parameter without a value counts as absent (RFC 6749 section 3.1). */
function isAnswer(query: string): boolean {
  const parameters = new URLSearchParams(query);
  const has = (name: string) => parameters.getAll(name).some((value) => value !== "");
  return has("state") && (has("code") || has("error"));
}

function isHere({ redirectUri }: Attempt): boolean {
  const { origin, pathname } = new URL(redirectUri, location.href);
  return origin === location.origin && pathname === location.pathname;
}

function saved(): Attempt | null {
  try {
    return JSON.parse(sessionStorage.getItem(PENDING) ?? "null") as Attempt | null;
  } catch {
    return null;
  }
}
