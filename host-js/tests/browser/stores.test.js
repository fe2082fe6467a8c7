// The stores of a browser by themselves: what one of them keeps beside its login, and a lock that is of no use.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { launch, person } from "../support/chromium.js";
import { start } from "../support/server.js";
import { open } from "./harness.js";

let [server, browser, context, page] = [];
before(async () => ([server, browser] = await Promise.all([start(), launch()])));
after(() => Promise.all([browser?.close(), server?.stop()]));
beforeEach(async () => {
  context = await person(browser);
  page = await open(context, { pages: server });
});
afterEach(() => context?.close());

test("stores with any names hold each its own login", { timeout: 180_000 }, async () => {
  const mixed = await page.evaluate(async () => {
    const { IndexedDbStore, LocalStorageStore, revision } = harness.kraube;
    const names = ["a#b", "a#1", "a", "a:room", "a:serial", "room:a", "serial:a"];
    const stores = [IndexedDbStore, LocalStorageStore].flatMap((Store) => names.map((name) => new Store(name)));
    const logins = new Map(stores.map((store) => [store, null]));
    const mixed = [];
    for (const reserve of [64, 0, 64]) {
      for (const store of stores) {
        const before = logins.get(store);
        const login = `${store.key} ${reserve} ${before}`;
        const wrote = await store.write(before === null ? null : await revision(before), login, reserve);
        logins.set(store, login);
        if (wrote !== "ok") mixed.push(`${store.key}: ${wrote}`);
        for (const [other, login] of logins) {
          if ((await other.read()) !== login) mixed.push(`${other.key} by ${store.key}`);
        }
      }
    }
    return mixed;
  });
  assert.deepEqual(mixed, []);
});

test("what is no serial number is none: the next write has one", { timeout: 180_000 }, async () => {
  const serials = await page.evaluate(async () => {
    const write = async (name) => {
      const store = new harness.kraube.LocalStorageStore(name);
      const before = await store.read();
      await store.write(before === null ? null : await harness.kraube.revision(before), `${before}.`, 0);
    };
    const serials = () => Object.values(localStorage).filter((value) => !value.endsWith("."));
    // It announces its write.
    await write("a#b");
    await write("a");
    const seen = [serials()];
    for (const none of ["none", "NaN", "Infinity"]) {
      for (const [key, value] of Object.entries(localStorage)) if (!value.endsWith(".")) localStorage.setItem(key, none);
      await write("a#b");
      await write("a");
      seen.push(serials());
    }
    return seen;
  });
  for (const pair of serials) {
    assert.equal(pair.length, 2);
    assert.ok(pair.every((serial) => /^[1-9][0-9]*$/.test(serial)), JSON.stringify(serials));
  }
});

test("a lock that cannot be used is let go, and said so", { timeout: 180_000 }, async () => {
  const results = await page.evaluate(async () => {
    const denied = () => {
      throw new DOMException("not here", "SecurityError");
    };
    // As in a page that may store nothing, in a worker, and in a page that goes.
    const faults = [
      [Storage.prototype, "getItem", denied],
      [window, "localStorage", undefined],
      [navigator.locks, "query", () => Promise.reject(new DOMException("gone", "InvalidStateError"))],
    ];
    const results = [];
    for (const [object, name, value] of faults) {
      const before = Object.getOwnPropertyDescriptor(object, name);
      Object.defineProperty(object, name, { value, configurable: true });
      const undo = () => (before === undefined ? delete object[name] : Object.defineProperty(object, name, before));
      const store = new harness.kraube.LocalStorageStore("a");
      const error = await store.lock(5000, null).catch((error) => error);
      undo();
      const next = await store.lock(5000, null);
      if (next !== "timed_out") next.release();
      results.push([error instanceof harness.kraube.StoreFailure, error.code, next === "timed_out"]);
    }
    return results;
  });
  assert.deepEqual(results, [[true, "store_denied", false], [true, "store_io", false], [true, "store_io", false]]);
});

test("why a store cannot be read is said by who waits for its lock too", { timeout: 180_000 }, async () => {
  const code = await page.evaluate(async () => {
    const store = new harness.kraube.LocalStorageStore("a");
    const held = await store.lock(0, null);
    const { getItem } = Storage.prototype;
    Storage.prototype.getItem = () => {
      throw new DOMException("not here", "SecurityError");
    };
    const error = await store.lock(0, "0".repeat(64)).catch((error) => error);
    Storage.prototype.getItem = getItem;
    held.release();
    return error.code;
  });
  assert.equal(code, "store_denied");
});
