// The component of the world `token-provider` under jco, over a store that this program lends, against the server at ISSUER:
// a person logs in, the token is refreshed, and the login ends. Fails where one of them does.
//
// node provider.js FOLDER ISSUER
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { state } from "./store.js";

const [folder, issuer] = process.argv.slice(2);
const { account, login, tokens } = await import(pathToFileURL(join(folder, "token-provider.js")));

/** What is thrown: the case of `error`, and its problem. */
function thrown(act) {
  try {
    act();
  } catch (error) {
    if (!error.payload) throw error;
    return [error.payload.tag, error.payload.val.code];
  }
  throw new Error("nothing was thrown");
}

const any = { minValid: 0n };
assert.deepEqual(thrown(() => tokens.getToken(any)), ["login-required", "logged_out"]);

// The server approves at once: the browser is one request.
const redirect = { tag: "page", val: "http://127.0.0.1:9/callback" };
const { pending, url } = account.begin(login.demo(issuer), redirect);
const answer = await fetch(url, { redirect: "manual" });
const { search } = new URL(answer.headers.get("location"));
assert.equal(pending.receive({ tag: "query", val: "code=c&state=another" }).tag, "ignored");
const verdict = pending.receive({ tag: "query", val: search.slice(1) });
assert.equal(verdict.tag, "code");
account.install(verdict.val);
assert.throws(() => account.install(verdict.val), TypeError, "it is consumed");
assert.equal(state.locks, 0, "the lock is released");

async function resource(token) {
  const { status } = await fetch(`${issuer}/resource`, { headers: { authorization: `Bearer ${token}` } });
  return status;
}

const first = tokens.getToken(any);
assert.equal(await resource(first.value), 200);
assert.equal(first.stale, undefined);
assert.equal(tokens.getToken(any).value, first.value, "from memory");

// Somebody else has spent time: what is stored is over, and a resource rejects what is in memory.
const stored = JSON.parse(new TextDecoder().decode(state.stored));
state.stored = new TextEncoder().encode(JSON.stringify({ ...stored, expiresAt: 1 }));
tokens.reject(first.value);
const second = tokens.getToken(any);
assert.notEqual(second.value, first.value);
assert.equal(await resource(second.value), 200);
assert.equal(second.login, first.login);
assert.equal(state.locks, 0, "the lock is released");

assert.equal(account.forget(true), true, "the server confirms it");
assert.equal(state.stored, undefined);
assert.deepEqual(thrown(() => tokens.getToken(any)), ["login-required", "logged_out"]);
console.log("done");
