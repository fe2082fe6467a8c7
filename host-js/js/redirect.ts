/** Login by sending the whole page to the server and back: {@link loginWithRedirect}, {@link finishLogin}. */
import { KraubeError } from "./core.js";
import type { Attempt, LoginOptions } from "./login.js";
import { begin, complete, judge } from "./login.js";
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
 * popup of `loginWithPopup` alike. Call it once, when the page has loaded. The code is taken out of the address bar and
 * out of the history, whatever comes of it.
 *
 * @throws {KraubeError} `denied`; an answer that belongs to no login of this tab (a login that is under way goes on);
 *   nothing could be stored.
 */
export async function finishLogin(source: TokenSource): Promise<Finished> {
  const query = location.search;
  if (!new URLSearchParams(query).has("state")) return "no_answer";
  const attempt = saved();
  // Not `location.href`: its query is the answer.
  history.replaceState(history.state, "", attempt?.redirectUri ?? location.pathname);
  const verdict = attempt === null ? null : await judge(attempt, query);
  if (verdict !== null && verdict.type !== "ignored") {
    // Before the code is sent: it may be used once, also where this page is reloaded meanwhile.
    sessionStorage.removeItem(PENDING);
    await complete(source, verdict);
    return "logged_in";
  }
  if (await relay(query)) {
    window.close();
    return "relayed";
  }
  throw new KraubeError(
    verdict ?? {
      code: "nothing_pending",
      message: "no login was begun in this tab, or it was finished already",
      hint: "begin a login first",
    },
  );
}

function saved(): Attempt | null {
  try {
    return JSON.parse(sessionStorage.getItem(PENDING) ?? "null") as Attempt | null;
  } catch {
    return null;
  }
}
