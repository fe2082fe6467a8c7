/** The loop that performs what a machine of the core asks for. It decides nothing. */
import type { Action, Input, Run, StoreError } from "./core.js";
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
    for (let next = run.next; ; next = run.step(await perform(next.action, frame))) {
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
    frame.guard?.release();
  }
}

interface Frame {
  readonly store: Store;
  guard: Guard | undefined;
}

async function perform(action: Action, frame: Frame): Promise<Input> {
  const { store } = frame;
  switch (action.type) {
    case "lock": {
      if (frame.guard !== undefined) return { type: "locked", locked: "held" };
      return attempt(
        async () => {
          const taken = await store.lock(action.wait, action.seen);
          if (typeof taken === "string") return { type: "locked", locked: taken };
          frame.guard = taken;
          return { type: "locked", locked: "held" };
        },
        (error) => ({ type: "locked", locked: "unsupported", error }),
      );
    }
    case "read":
      return attempt(
        async () => ({ type: "read", blob: await store.read() }),
        (error) => ({ type: "read", error }),
      );
    case "send":
      if (action.holds !== null && !(await holds(frame, action.holds))) {
        frame.guard?.release();
        frame.guard = undefined;
        const detail = "the lock was lost before the request was sent";
        return { type: "replied", error: { code: "lock_lost", detail } };
      }
      return send(action.request);
    case "write":
      return attempt(
        async () => ({ type: "wrote", wrote: await store.write(action.replaces, action.blob, action.reserve) }),
        (error) => ({ type: "wrote", wrote: "failed", error }),
      );
    case "delete":
      return attempt(
        async () => ({ type: "deleted", deleted: await store.delete(action.replaces) }),
        (error) => ({ type: "deleted", deleted: "failed", error }),
      );
    case "wait":
      await pause(action.time);
      return { type: "woke" };
  }
}

/** What a store did, or why it could not: whatever it throws, and however. */
function attempt(work: () => Promise<Input>, failed: (error: StoreError) => Input): Promise<Input> {
  return work().catch((error: unknown) => failed(storeError(error)));
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
