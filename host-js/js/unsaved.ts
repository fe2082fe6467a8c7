/**
 * Rotations that were received and could not be stored, kept for the whole program, each with the lock of its store; and
 * the two ways to run a machine on a store that may have one.
 */
import type { Run } from "./core.js";
import { load, now } from "./core.js";
import type { Driven, Kept } from "./drive.js";
import { drive, pause } from "./drive.js";
import type { Store } from "./store.js";

/** By the key of the store. */
const kept = new Map<string, Kept>();
/** Those that a run has taken out; the promise ends with that run. */
const out = new Map<string, Promise<unknown>>();
/** The stores whose rotation is being tried again. */
const rescued = new Set<string>();

/** A store that fails is tried again this often. */
const RESCUE = 1000;
/** For so many times a program that is otherwise done is kept from ending. */
const FAREWELL = 5;

/**
 * Begins a run, with what the last one on this store left behind, and drives it. A run that does not begin, or breaks
 * down, leaves that where it is.
 */
export async function run<Outcome>(
  store: Store,
  begin: (kept: Run<unknown> | undefined) => Run<Outcome>,
  before?: () => void,
): Promise<Driven<Outcome>["outcome"]> {
  const { key } = store;
  const entry = kept.get(key);
  const begun = begin(entry?.run);
  kept.delete(key);
  const work = drive(begun, store, entry, before);
  if (entry !== undefined) out.set(key, work);
  try {
    const driven = await work;
    if (driven.kept !== undefined) {
      // A run that had to take the lock itself may have locked another place than its store led to when it began.
      kept.set(entry === undefined ? store.key : key, driven.kept);
      void rescue(store);
    }
    return driven.outcome;
  } catch (error) {
    if (entry !== undefined) kept.set(key, entry);
    throw error;
  } finally {
    if (entry !== undefined) out.delete(key);
  }
}

/**
 * The same, after another run of this program that has the rotation in hand: that run may put it back together with the
 * lock, which then cannot be had in any other way.
 */
export async function runInTurn<Outcome>(
  store: Store,
  begin: (kept: Run<unknown> | undefined) => Run<Outcome>,
): Promise<Driven<Outcome>["outcome"]> {
  while (out.has(store.key)) await out.get(store.key)?.then(ignore, ignore);
  return run(store, begin);
}

/** Tries to store what is kept until it is stored. */
async function rescue(store: Store): Promise<void> {
  const { key } = store;
  if (rescued.has(key)) return;
  rescued.add(key);
  console.error("kraube: new tokens cannot be stored; this program keeps them, and they end with it");
  const core = await load();
  for (let tries = 1; kept.has(key) || out.has(key); tries += 1) {
    await (tries > FAREWELL ? idle(RESCUE) : pause(RESCUE));
    if (kept.has(key)) await run(store, (last) => core.obtain({}, now(), last)).then(ignore, ignore);
  }
  rescued.delete(key);
}

/** Lets time pass, and the program end meanwhile. */
function idle(time: number): Promise<void> {
  return new Promise((resolve) => {
    const timer: unknown = setTimeout(resolve, time);
    if (typeof timer !== "number") (timer as { unref?(): void }).unref?.();
    else if (typeof Deno !== "undefined") Deno.unrefTimer(timer);
  });
}

function ignore(): void {}
