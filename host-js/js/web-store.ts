/** What the stores of a browser have in common: a lock shared by the tabs, and errors in the words of the core. */
import type { Core, Millis, Revision } from "./core.js";
import { load } from "./core.js";
import { lockWithin, realmLocks, webLocks } from "./locks.js";
import type { Store } from "./store.js";
import { StoreFailure, stored } from "./store.js";

/**
 * A store that every tab of an origin finds again under its name.
 *
 * Whatever it is kept in: **every script that runs in the origin can read it**, for as long as it is stored. Choose it
 * where a login must outlive a reload or be shared by tabs, and where you trust each script of your pages; and keep the
 * life of refresh tokens short at the server (RFC 10017 sections 6.3.2.3 and 8). Otherwise use the memory.
 */
export abstract class WebStore implements Store {
  readonly key: string;
  /**
   * Whether the lock excludes other tabs. Where a browser has no Web Locks (or the page is in an insecure context),
   * the promise holds for one tab: two tabs could redeem the same refresh token.
   */
  readonly shared: boolean = webLocks() !== undefined;

  /** `name` tells logins of one origin apart. */
  constructor(
    kind: string,
    protected readonly name: string,
  ) {
    this.key = `${kind}:${name}`;
  }

  async lock(wait: Millis, seen: Revision | null) {
    const differs = async () => (await stored(this)) !== seen;
    const listen = (changed: () => void) => this.listen(changed);
    const watch = seen === null ? null : { differs, listen };
    const locks = webLocks() ?? realmLocks;
    return lockWithin(locks, `kraube:${this.key}`, wait, watch).catch((error: unknown) => {
      throw failure(error);
    });
  }

  async read() {
    await load();
    return this.get().catch((error: unknown) => {
      throw failure(error);
    });
  }

  async write(replaces: Revision | null, blob: string, reserve: number) {
    return this.#replace(replaces, blob, reserve);
  }

  async delete(replaces: Revision) {
    return this.#replace(replaces, null, 0);
  }

  async #replace(replaces: Revision | null, blob: string | null, reserve: number) {
    const core = await load();
    const fits = (before: string | null) => revisionOf(core, before) === replaces;
    const done = await this.set(fits, blob, reserve).catch((error: unknown) => {
      throw failure(error);
    });
    return done ? "ok" : "conflict";
  }

  /** What is stored. */
  protected abstract get(): Promise<string | null>;
  /** Replaces it in one step, if what is there fits, and sets room aside. */
  protected abstract set(fits: (before: string | null) => boolean, blob: string | null, reserve: number): Promise<boolean>;
  /** Calls back when another tab may have changed it, until the returned function is called. */
  protected abstract listen(changed: () => void): () => void;
}

function revisionOf(core: Core, blob: string | null): Revision | null {
  return blob === null ? null : core.revision(blob);
}

/** What the browser said, sorted by what people can do about it. */
export function failure(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error;
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  const detail = error instanceof Error ? `${name}: ${error.message}` : "the browser's storage failed";
  switch (name) {
    case "QuotaExceededError":
      return new StoreFailure("store_full", `${detail}; make room in this origin's storage`);
    case "SecurityError":
      return new StoreFailure("store_denied", `${detail}; this browser lets this page store nothing`);
    default:
      return new StoreFailure("store_io", detail);
  }
}
