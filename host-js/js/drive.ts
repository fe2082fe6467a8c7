/** The loop that performs what a machine of the core asks for. It decides nothing. */
import type { Action, Input, Run, Step, StoreError } from "./core.js";
import { send } from "./http.js";
import type { Guard, Store } from "./store.js";
import { storeError, stored } from "./store.js";

/** What a run leaves behind: its outcome, and the lock where the core keeps something under it. */
export interface Driven<Outcome> {
  outcome: Outcome;
  kept: Kept | undefined;
}

/** A run that holds new tokens which are stored nowhere, and the lock that keeps others from the token that they replace. */
export interface Kept {
  run: Run<unknown>;
  guard: Guard | undefined;
}

/**
 * Drives a run to its outcome. The lock lives in this frame, so every way out releases it, unless the run keeps
 * something. `kept` is what the run was begun with: where the run breaks down, the lock goes back there. `before` sees the
 * run before each of its actions.
 */
export async function drive<Outcome>(
  run: Run<Outcome>,
  store: Store,
  kept?: Kept,
  before?: () => void,
): Promise<Driven<Outcome>> {
  const frame: Frame = { store, guard: kept?.guard };
  try {
    for (let next = run.next; ; next = await advance(run, next.action, frame)) {
      if ("done" in next) {
        const keeps = run.keeps ? { run, guard: frame.guard } : undefined;
        if (keeps !== undefined) frame.guard = undefined;
        return { outcome: next.done, kept: keeps };
      }
      before?.();
    }
  } catch (error) {
    if (kept !== undefined) [kept.guard, frame.guard] = [frame.guard, undefined];
    throw error;
  } finally {
    release(frame);
  }
}

interface Frame {
  readonly store: Store;
  guard: Guard | undefined;
}

/**
 * Performs the action and tells the run what came of it. The run may hold new tokens, so whatever a store throws, and
 * whatever it returns that no store may, is a failure of the store: malformed input has changed nothing in the run.
 */
async function advance<Outcome>(run: Run<Outcome>, action: Action, frame: Frame): Promise<Step<Outcome>> {
  try {
    return run.step(await perform(action, frame));
  } catch (error) {
    const input = failed(action, storeError(error));
    if (input === null) throw error;
    return run.step(input);
  }
}

/** The store could not do it; `null` where no store is asked. */
function failed(action: Action, error: StoreError): Input | null {
  switch (action.type) {
    case "lock":
      return { type: "locked", locked: "unsupported", error };
    case "read":
      return { type: "read", error };
    case "write":
      return { type: "wrote", wrote: "failed", error };
    case "delete":
      return { type: "deleted", deleted: "failed", error };
    default:
      return null;
  }
}

async function perform(action: Action, frame: Frame): Promise<Input> {
  const { store } = frame;
  switch (action.type) {
    case "lock": {
      if (frame.guard !== undefined) return { type: "locked", locked: "held" };
      const taken = await store.lock(action.wait, action.seen);
      if (taken === "changed" || taken === "timed_out") return { type: "locked", locked: taken };
      if (typeof taken.release !== "function") throw new Error("what the store gave as its lock cannot be released");
      frame.guard = taken;
      return { type: "locked", locked: "held" };
    }
    case "read":
      return { type: "read", blob: await store.read() };
    case "send":
      if (action.holds !== null && !(await holds(frame, action.holds))) {
        release(frame);
        const detail = "the lock was lost before the request was sent";
        return { type: "replied", error: { code: "lock_lost", detail } };
      }
      return send(action.request);
    case "write":
      return { type: "wrote", wrote: await store.write(action.replaces, action.blob, action.reserve) };
    case "delete":
      return { type: "deleted", deleted: await store.delete(action.replaces) };
    case "wait":
      await pause(action.time);
      return { type: "woke" };
  }
}

/** Lets go of the lock, if there is one. A store that fails in this takes nothing from the outcome. */
function release(frame: Frame): void {
  const { guard } = frame;
  frame.guard = undefined;
  if (guard !== undefined) new Promise((done) => done(guard.release())).catch(() => {});
}

/** Whether the lock is the one that others would take, and the record still the one that was written under it. */
async function holds({ store, guard }: Frame, revision: string): Promise<boolean> {
  if (guard === undefined) return false;
  try {
    return (await guard.held?.()) !== false && (await stored(store)) === revision;
  } catch {
    return false;
  }
}

/** Lets time pass. */
export function pause(time: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, time));
}
