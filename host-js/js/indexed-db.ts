/** A store in IndexedDB. Workers have it too. */
import { WebStore } from "./web-store.js";

const DATABASE = "kraube";
const TABLE = "logins";

/**
 * Keeps the login in IndexedDB, in the database `kraube`. The risks are those of {@link WebStore}.
 *
 * A connection is open for as long as an operation takes, so it keeps no page from being kept for going back.
 */
export class IndexedDbStore extends WebStore {
  readonly #channel: string;

  constructor(name = "default") {
    super("indexedDB", name);
    this.#channel = `kraube:indexedDB:${name}`;
  }

  protected async get() {
    return within<string | null>("readonly", (table, done) => {
      const request = table.get(this.name);
      request.onsuccess = () => done(text(request.result));
    });
  }

  protected async set(fits: (before: string | null) => boolean, blob: string | null, reserve: number) {
    const set = await within<boolean>("readwrite", (table, done) => {
      const request = table.get(this.name);
      request.onsuccess = () => {
        const replace = fits(text(request.result));
        done(replace);
        if (!replace) return;
        // A list, which no name can be.
        const room = [this.name, "room"];
        if (blob === null) table.delete(this.name);
        else table.put(blob, this.name);
        if (reserve > 0) table.put(" ".repeat(reserve), room);
        else table.delete(room);
      };
    });
    if (set && typeof BroadcastChannel !== "undefined") {
      const channel = new BroadcastChannel(this.#channel);
      channel.postMessage("changed");
      channel.close();
    }
    return set;
  }

  protected listen(changed: () => void) {
    if (typeof BroadcastChannel === "undefined") return () => {};
    const channel = new BroadcastChannel(this.#channel);
    channel.onmessage = changed;
    return () => channel.close();
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** One transaction of its own connection. It is done when it is durable. */
async function within<T>(
  mode: IDBTransactionMode,
  work: (table: IDBObjectStore, done: (value: T) => void) => void,
): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(TABLE, mode, { durability: "strict" });
      let value: T;
      transaction.oncomplete = () => resolve(value);
      transaction.onabort = () => reject(transaction.error ?? new Error("the transaction was aborted"));
      work(transaction.objectStore(TABLE), (result) => (value = result));
    });
  } finally {
    database.close();
  }
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => void request.result.createObjectStore(TABLE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the database cannot be opened"));
  });
}
