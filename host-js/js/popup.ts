/**
 * Login in a window of its own: {@link loginWithPopup}, and the way back from the page of the redirect URI in that window
 * ({@link relay}). Both are of one origin, and both check that (RFC 10017 section 6.3.3.3, RFC 9700 section 4.17): a message
 * goes to this very origin or stays unsent, and one of another origin is not looked at.
 */
import { KraubeError } from "./core.js";
import type { LoginOptions } from "./login.js";
import { begin, complete, judge } from "./login.js";
import type { TokenSource } from "./source.js";

/** What a popup may look like, and when to stop waiting for it. */
export interface PopupOptions extends LoginOptions {
  /** The third argument of `window.open`. */
  features?: string;
  /** Ends the wait, and closes the window. */
  signal?: AbortSignal;
  /**
   * Whether a window that was closed ends the login. Set it to `false` where the server sends
   * `Cross-Origin-Opener-Policy`: its windows look closed to this page although they are open. `true` by default.
   */
  watchClosed?: boolean;
}

const FEATURES = "popup,width=520,height=680";
/** Where the popup has lost its opener (`Cross-Origin-Opener-Policy`), it finds it here. */
const CHANNEL = "kraube:login";
/** A popup that is gone says nothing; it is looked at this often. */
const GLANCE = 300;
/** How long a page waits for somebody to take its answer. */
const TAKEN = 1000;

/** The messages between the two. */
type Message = { kraube: "answer"; id: string; query: string } | { kraube: "taken"; id: string };

/**
 * Logs in in a popup. Call it straight from a click, before anything is awaited, or the browser blocks the window.
 *
 * Answers that are not the awaited one (a wrong `state`, another issuer) change nothing; the login goes on.
 *
 * @throws {KraubeError} `popup_blocked`, `popup_closed`, `denied`; the provider or the redirect URI cannot be used; nothing
 *   could be stored. Where `signal` ends the wait, its reason is thrown as it is.
 */
export async function loginWithPopup(source: TokenSource, options: PopupOptions): Promise<void> {
  const popup = window.open("", "_blank", options.features ?? FEATURES);
  if (popup === null) {
    throw new KraubeError({
      code: "popup_blocked",
      message: "the browser has blocked the login window",
      hint: "begin the login straight from a click, allow popups for this page, or log in by redirect",
    });
  }
  try {
    const attempt = await begin(options);
    const answers = listen(popup, options);
    try {
      popup.location.replace(attempt.url);
      for (;;) {
        const { query, take } = await answers.next();
        const verdict = await judge(attempt, query);
        if (verdict.type === "ignored") continue;
        take();
        return await complete(source, verdict);
      }
    } finally {
      answers.stop();
    }
  } finally {
    popup.close();
  }
}

/**
 * Gives the answer to the page that waits for it: true when it was taken. For the page of the redirect URI.
 */
export function relay(query: string): Promise<boolean> {
  const id = `${Date.now()}:${Math.random()}`;
  const message: Message = { kraube: "answer", id, query };
  const channel = open();
  const opener = window.opener as Window | null;
  return new Promise((resolve) => {
    const end = (taken: boolean) => {
      clearTimeout(timer);
      removeEventListener("message", fromWindow);
      channel?.close();
      resolve(taken);
    };
    const timer = setTimeout(() => end(false), TAKEN);
    const receive = (data: unknown) => {
      const taken = data as Partial<Message> | null;
      if (taken?.kraube === "taken" && taken.id === id) end(true);
    };
    const fromWindow = (event: MessageEvent) => {
      if (event.origin === location.origin && event.source === opener) receive(event.data);
    };
    addEventListener("message", fromWindow);
    if (channel !== undefined) channel.onmessage = (event) => receive(event.data);
    opener?.postMessage(message, location.origin);
    channel?.postMessage(message);
  });
}

interface Answer {
  query: string;
  /** Tells the popup that its answer was the awaited one. */
  take(): void;
}

/** The answers that arrive, one after the other; each comes by both ways and counts once. */
function listen(popup: Window, { signal, watchClosed = true }: PopupOptions) {
  const waiting: Answer[] = [];
  const seen = new Set<string>();
  const channel = open();
  let wake = () => {};
  const receive = (data: unknown, reply: (message: Message) => void) => {
    const { kraube, id, query } = (data ?? {}) as { kraube?: unknown; id?: unknown; query?: unknown };
    if (kraube !== "answer" || typeof id !== "string" || typeof query !== "string" || seen.has(id)) return;
    seen.add(id);
    waiting.push({ query, take: () => reply({ kraube: "taken", id }) });
    wake();
  };
  const fromWindow = (event: MessageEvent) => {
    if (event.origin !== location.origin || event.source !== popup) return;
    receive(event.data, (message) => popup.postMessage(message, location.origin));
  };
  const aborted = () => wake();
  signal?.addEventListener("abort", aborted);
  addEventListener("message", fromWindow);
  if (channel !== undefined) {
    channel.onmessage = (event) => receive(event.data, (message) => channel.postMessage(message));
  }
  return {
    async next(): Promise<Answer> {
      for (let closed = 0; ; ) {
        signal?.throwIfAborted();
        const answer = waiting.shift();
        if (answer !== undefined) return answer;
        closed = watchClosed && popup.closed ? closed + 1 : 0;
        // Its last message may still be on its way.
        if (closed > 2) {
          throw new KraubeError({
            code: "popup_closed",
            message: "the login window was closed before the login was complete",
            hint: "start the login again and leave the window open",
          });
        }
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, GLANCE);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
    stop() {
      signal?.removeEventListener("abort", aborted);
      removeEventListener("message", fromWindow);
      channel?.close();
    },
  };
}

function open(): BroadcastChannel | undefined {
  return typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(CHANNEL);
}
