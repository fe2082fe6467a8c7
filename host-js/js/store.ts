/**
 * What a place for credentials must be able to do: {@link Store}. The stores that come with the package, and those that a
 * program brings, are all of this shape. Nothing here is about one of them.
 */
import type { Blob, Millis, Revision, StoreError } from "./core.js";
import { load, words } from "./core.js";

/**
 * One place where one login is stored, shared by whoever opens the same place.
 *
 * The promise that a refresh token is redeemed by one program at a time is as good as {@link Store.lock} and
 * {@link Store.write} are. A method that cannot do its work throws a {@link StoreFailure}. Any other error, and anything
 * returned that is not of these types, counts as one with the code `store_io`.
 */
export interface Store {
  /** Names the place within this program: two stores have the same key if and only if they share what is stored. */
  readonly key: string;

  /**
   * Waits for the exclusive lock, for `wait` milliseconds at most; zero is one try. Where the lock is free it is taken,
   * whatever is stored. While it is not free and the stored bytes have another revision than `seen` (or are gone), the
   * wait ends with `"changed"`.
   *
   * @throws {StoreFailure} There can be no lock here: refreshes are refused then, and a living token is still served.
   */
  lock(wait: Millis, seen: Revision | null): Promise<Guard | "changed" | "timed_out">;

  /** The stored bytes, `null` where there are none. Takes no lock and never sees half a write. */
  read(): Promise<Blob | null>;

  /**
   * Replaces the stored bytes, durably and as a whole, if they still have the revision `replaces` (`null`: if nothing is
   * stored). The caller holds the lock. With `reserve` above zero that many bytes are set aside first, so that the next
   * write cannot fail for want of space; a store that cannot run full ignores it.
   */
  write(replaces: Revision | null, blob: string, reserve: number): Promise<"ok" | "conflict">;

  /** Removes the stored bytes, if they still have this revision. */
  delete(replaces: Revision): Promise<"ok" | "conflict">;
}

/** A held lock. */
export interface Guard {
  /** Lets go of it. What it throws is passed over. */
  release(): void;
  /** Whether it still is the lock that others would take; a lock that cannot be lost may leave this out. */
  held?(): boolean | Promise<boolean>;
}

/** A store could not do its work. */
export class StoreFailure extends Error {
  /** What kind of failure, as the core knows it. */
  readonly code: StoreError["code"];

  /** `detail` is for people and must not hold what is stored. A `code` of another kind counts as `store_io`. */
  constructor(code: StoreError["code"], detail: string) {
    super(detail);
    this.name = "StoreFailure";
    this.code = code;
  }
}

/**
 * The revision of stored bytes: what a store of your own compares with `seen` and `replaces`.
 */
export async function revision(blob: Blob): Promise<Revision> {
  return (await load()).revision(blob);
}

/** The revision of what a store holds, `null` where that is nothing. */
export async function stored(store: Pick<Store, "read">): Promise<Revision | null> {
  const blob = await store.read();
  return blob === null ? null : revision(blob);
}

const CODES: readonly unknown[] = [
  "store_denied",
  "store_not_ours",
  "store_full",
  "store_read_only",
  "store_irreplaceable",
  "store_too_large",
  "store_io",
] satisfies StoreError["code"][];

/** What the core is told of an error, whatever was thrown. */
export function storeError(error: unknown): StoreError {
  try {
    if (error instanceof StoreFailure && CODES.includes(error.code)) return { code: error.code, detail: words(error.message) };
    if (error instanceof Error) return { code: "store_io", detail: words(`${error.name}: ${error.message}`) };
  } catch {
    // It does not even let itself be looked at.
  }
  return { code: "store_io", detail: "the store failed" };
}
