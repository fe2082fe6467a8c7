/**
 * A store in `localStorage`.
 *
 * Tabs in different processes see each other's writes a moment late, and Web Locks do not wait for that: who gets the lock
 * may still read what was there before the last holder's write. So each write has a serial number, which its tab announces
 * for a while as the name of a lock; who gets the lock waits until it sees the highest number that is announced.
 */
import type { Millis, Revision } from "./core.js";
import { pause } from "./drive.js";
import { webLocks } from "./locks.js";
import { failure, WebStore } from "./web-store.js";

/** A write is announced for so long. */
const ANNOUNCED = 5000;
/** A write that is not seen after this was undone: somebody has cleared the storage. */
const LATE = 2000;

/**
 * Keeps the login in `localStorage`, at `kraube:` with its name behind it. The risks are those of {@link WebStore}. What a
 * store needs beside its login begins with `kraube-`, so that no name of another one can mean it.
 */
export class LocalStorageStore extends WebStore {
  readonly #item: string;
  readonly #room: string;
  readonly #serial: string;

  constructor(name = "default") {
    super("localStorage", name);
    this.#item = `kraube:${name}`;
    this.#room = `kraube-room:${name}`;
    this.#serial = `kraube-serial:${name}`;
  }

  override async lock(wait: Millis, seen: Revision | null) {
    const guard = await super.lock(wait, seen);
    if (typeof guard === "string") return guard;
    try {
      const end = performance.now() + LATE;
      const announced = await this.#announced();
      while (this.#seen() < announced && performance.now() < end) await pause(2);
      return guard;
    } catch (error) {
      // Nobody else would let go of it.
      guard.release();
      throw failure(error);
    }
  }

  protected async get() {
    return localStorage.getItem(this.#item);
  }

  protected async set(fits: (before: string | null) => boolean, blob: string | null, reserve: number) {
    const serial = Math.max(this.#seen(), await this.#announced()) + 1;
    if (!fits(localStorage.getItem(this.#item))) return false;
    // The room that was set aside is what this write may take.
    localStorage.removeItem(this.#room);
    if (reserve > 0) localStorage.setItem(this.#room, " ".repeat(reserve));
    if (blob === null) localStorage.removeItem(this.#item);
    else localStorage.setItem(this.#item, blob);
    // Last, so that who sees it sees the record too.
    localStorage.setItem(this.#serial, String(serial));
    const announcement = await webLocks()?.attempt(`${this.#announcement}${serial}`);
    setTimeout(() => announcement?.release(), ANNOUNCED);
    return true;
  }

  protected listen(changed: () => void) {
    const listener = (event: StorageEvent) => {
      // `null`: all of it was cleared.
      if (event.key === this.#item || event.key === null) changed();
    };
    addEventListener("storage", listener);
    return () => removeEventListener("storage", listener);
  }

  get #announcement() {
    return `${this.#serial}#`;
  }

  async #announced(): Promise<number> {
    const held = (await webLocks()?.held()) ?? [];
    const ours = held.filter((name) => name.startsWith(this.#announcement));
    return Math.max(0, ...ours.map((name) => numberOf(name.slice(this.#announcement.length))));
  }

  /** The number of the write that this tab sees. */
  #seen(): number {
    return numberOf(localStorage.getItem(this.#serial));
  }
}

/** What is no serial number, such as the end of a longer name, counts as none. */
function numberOf(text: string | null): number {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : 0;
}
