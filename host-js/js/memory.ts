/** A store in the memory of this program. */
import type { NewCredentials, Revision } from "./core.js";
import { load } from "./core.js";
import type { Store } from "./store.js";
import { revision, stored } from "./store.js";
import { lockWithin, realmLocks } from "./locks.js";

let count = 0;

/**
 * Keeps the login in memory: nothing is left of it after a reload, and no other tab or process has a part in it. That is
 * the safest place that a browser has (RFC 10017 section 8.3).
 */
export class MemoryStore implements Store {
  readonly key = `memory:${++count}`;
  #blob: string | null = null;
  #first: NewCredentials | undefined;
  #listeners = new Set<() => void>();

  /** With tokens that the program has from elsewhere, or empty. Another program with the same refresh token would end the login of both. */
  constructor(credentials?: NewCredentials) {
    this.#first = credentials;
  }

  async lock(wait: number, seen: Revision | null) {
    const differs = async () => (await stored(this)) !== seen;
    const listen = (changed: () => void) => {
      this.#listeners.add(changed);
      return () => void this.#listeners.delete(changed);
    };
    return lockWithin(realmLocks, this.key, wait, seen === null ? null : { differs, listen });
  }

  async read() {
    const core = await load();
    // In one step, for all who are the first to read.
    if (this.#first !== undefined) this.#blob = core.record(this.#first);
    this.#first = undefined;
    return this.#blob;
  }

  async write(replaces: Revision | null, blob: string) {
    return this.#replace(replaces, blob);
  }

  async delete(replaces: Revision) {
    return this.#replace(replaces, null);
  }

  async #replace(replaces: Revision | null, blob: string | null): Promise<"ok" | "conflict"> {
    const before = await this.read();
    const found = before === null ? null : await revision(before);
    if (found !== replaces || this.#blob !== before) return "conflict";
    this.#blob = blob;
    for (const changed of this.#listeners) changed();
    return "ok";
  }
}
