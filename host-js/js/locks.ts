/**
 * Locks by name, and the bounded wait for one. Web Locks exclude every tab and worker of an origin and are released by
 * the browser when a page goes; where they are missing, a lock of this realm alone takes their place.
 */
import type { Millis } from "./core.js";
import type { Guard } from "./store.js";

/** Something that hands out exclusive locks by name. */
export interface Locks {
  /** Takes the lock if it is free, `null` if it is not. */
  attempt(name: string): Promise<Guard | null>;
  /** Queues for the lock until it is had, or until the signal ends the wait: `null`. */
  queue(name: string, signal: AbortSignal): Promise<Guard | null>;
}

/** Locks that every tab and worker of an origin shares. */
export interface WebLocks extends Locks {
  /** The names of those that are held. */
  held(): Promise<string[]>;
}

/** Web Locks, or `undefined` where this browser or this insecure context has none. */
export function webLocks(): WebLocks | undefined {
  const manager = (globalThis.navigator as Navigator | undefined)?.locks;
  if (manager === undefined) return undefined;
  const request = (name: string, options: LockOptions) =>
    new Promise<Guard | null>((resolve, reject) => {
      let lost = false;
      const ended = manager.request(name, options, (lock) => {
        // The wait may have ended while this was on its way: nobody would release it.
        if (lock === null || options.signal?.aborted === true) return resolve(null);
        return new Promise<void>((release) => resolve({ release, held: () => !lost }));
      });
      // It ends with an error when the wait was aborted, and when somebody stole the lock.
      ended.catch((error: unknown) => {
        lost = true;
        if (options.signal?.aborted === true) resolve(null);
        else reject(error instanceof Error ? error : new Error("the lock failed"));
      });
    });
  return {
    attempt: (name) => request(name, { ifAvailable: true }),
    queue: (name, signal) => request(name, { signal }),
    held: async () => ((await manager.query()).held ?? []).map(({ name }) => name ?? ""),
  };
}

/** The locks of this realm: they exclude nobody outside of it. */
export const realmLocks: Locks = {
  async attempt(name) {
    if (queues.has(name)) return null;
    queues.set(name, []);
    return realmGuard(name);
  },
  queue(name, signal) {
    const queue = queues.get(name);
    if (queue === undefined) return this.attempt(name);
    return new Promise((resolve) => {
      const turn = () => resolve(realmGuard(name));
      queue.push(turn);
      signal.addEventListener("abort", () => {
        const at = queue.indexOf(turn);
        if (at >= 0) queue.splice(at, 1);
        resolve(null);
      });
    });
  },
};

/** Those who wait, for each lock that is held. */
const queues = new Map<string, (() => void)[]>();

function realmGuard(name: string): Guard {
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      const next = queues.get(name)?.shift();
      if (next === undefined) queues.delete(name);
      else next();
    },
    held: () => held,
  };
}

/** Watches what is stored while somebody waits. */
export interface Watch {
  /** Whether it is not what the waiter has seen any more. */
  differs(): Promise<boolean>;
  /** Calls back when it may have changed, until the returned function is called. */
  listen(changed: () => void): () => void;
}

/** What is stored is looked at this often, in case that a notice of a change was missed. */
const GLANCE = 250;

/** Waits for the lock, for `wait` at most; leaves when what is stored has changed. */
export async function lockWithin(
  locks: Locks,
  name: string,
  wait: Millis,
  watch: Watch | null,
): Promise<Guard | "changed" | "timed_out"> {
  const guard = await locks.attempt(name);
  if (guard !== null) return guard;
  if (wait <= 0) return (await watch?.differs()) === true ? "changed" : "timed_out";
  const leave = new AbortController();
  let reason: "changed" | "timed_out" = "timed_out";
  const end = (why: typeof reason) => {
    if (!leave.signal.aborted) reason = why;
    leave.abort();
  };
  const look = () => void watch?.differs().then((differs) => differs && end("changed"), () => {});
  const stop = watch?.listen(look);
  const glances = watch === null ? undefined : setInterval(look, GLANCE);
  const timer = setTimeout(() => end("timed_out"), wait);
  look();
  try {
    return (await locks.queue(name, leave.signal)) ?? reason;
  } finally {
    clearTimeout(timer);
    clearInterval(glances);
    stop?.();
  }
}
