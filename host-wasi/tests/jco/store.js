// A store for one program, as a host in JavaScript lends it: `kraube:auth/store` as jco calls it.
import { createHash } from "node:crypto";

/** What is stored, and how many locks are held. */
export const state = { stored: undefined, locks: 0 };

export class Lock {
  holds(stored) {
    return stored === revision();
  }

  [Symbol.dispose]() {
    state.locks -= 1;
  }
}

// What these throw is the error of the result.

export function acquire() {
  if (state.locks > 0) throw { tag: "timed-out" };
  state.locks += 1;
  return new Lock();
}

export function read() {
  return state.stored;
}

export function write(replaces, bytes) {
  must(replaces);
  state.stored = Uint8Array.from(bytes);
}

function remove(replaces) {
  must(replaces);
  state.stored = undefined;
}
export { remove as delete };

export function probe() {}

function must(replaces) {
  if (state.locks !== 1) throw new Error("the lock is not held");
  if (replaces !== revision()) throw { tag: "conflict" };
}

function revision() {
  return state.stored && createHash("sha256").update(state.stored).digest("hex");
}
