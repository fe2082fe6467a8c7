// The conformance vectors of the core, unchanged, through the component of the world `sans-io` under jco: prints how many
// entries did what is recorded, and what the others did. `tests/vectors/README.md` says what they are; here is how their
// JSON reads as what jco makes of the WIT package.
//
// node vectors.js FOLDER MACHINES.json CALLS.json
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const { credentials, login, pkce, requests } = await import(pathToFileURL(join(folder, "sans-io.js")));
const [machines, calls] = await Promise.all(files.map(async (file) => JSON.parse(await readFile(file, "utf8"))));

function runs({ runs }) {
  let kept;
  for (const [index, run] of runs.entries()) {
    let next = start(run, kept);
    same(next.json, run.first, `run ${index}, first`);
    for (const [count, step] of run.steps.entries()) {
      const where = `run ${index}, step ${count}`;
      if ("living" in step) same(ready(next.machine.living(now(step.now))), step.living, `${where}, living`);
      next = ended[run.machine](classes[run.machine].step(next.machine, input(step.input), now(step.now)));
      same(next.json, step.next, where);
    }
    same(next.kept !== undefined, run.keeps, `run ${index}, keeps`);
    kept = next.kept;
  }
}

function start({ machine, options, now: at }, kept) {
  const policy = figures(options.policy);
  switch (machine) {
    case "obtain": {
      const wanted = {
        minValid: BigInt(options.minValid ?? 0),
        rejected: options.rejected ?? undefined,
        baseline: options.baseline ? { tag: "login", val: options.baseline.login ?? undefined } : { tag: "first-read" },
        defaultClient: options.defaultClient && client(options.defaultClient),
      };
      const run = BigInt(`0x${options.run}`);
      return ended.obtain(credentials.Obtain.start(wanted, policy, run, kept, now(at)));
    }
    case "install":
      return ended.install(credentials.Install.start(newLogin(options.new), options.login, policy, kept));
    default:
      return ended.forget(credentials.Forget.start(options.revoke ?? true, policy, kept));
  }
}

const classes = { obtain: credentials.Obtain, install: credentials.Install, forget: credentials.Forget };

/** What a machine asks for, and the machine; or how it ended, and what it keeps. */
function next(step, end) {
  if (step.tag === "perform") {
    const [machine, asked] = step.val;
    return { machine, json: { action: action(asked) } };
  }
  return { json: { done: end(step.val) }, kept: step.val.kept };
}

const ended = {
  obtain: (step) =>
    next(step, ({ outcome, kept }) => {
      if (kept) return unsaved(kept);
      if (outcome.tag === "ok") return { type: "ready", ready: ready(outcome.val) };
      return { type: "failed", error: failure(outcome.val) };
    }),
  install: (step) =>
    next(step, ({ outcome, kept }) => {
      if (outcome.tag === "ok") return { type: "installed", credentials: plain(outcome.val) };
      if (outcome.val.tag === "unsaved") return unsaved(kept);
      const type = outcome.val.tag === "misuse" ? "misuse" : "not_installed";
      return { type: "failed", error: { ...failure(outcome.val), type } };
    }),
  forget: (step) =>
    next(step, ({ outcome, revoked: told }) => {
      const revoked =
        told === undefined ? { type: "not_asked" }
        : told.tag === "ok" ? { type: "yes" }
        : { type: "unconfirmed", detail: told.val };
      switch (outcome.tag) {
        case "nothing-stored":
          return { type: "nothing_stored" };
        case "misuse":
          return { type: "failed", error: { type: "misuse", code: "misuse" } };
        case "still-stored":
          return { type: "still_stored", revoked, error: outcome.val && storeErrorJson(outcome.val) };
        default:
          return { type: snake(outcome.tag), revoked };
      }
    }),
};

function unsaved(kept) {
  const error = { type: "unsaved", code: "unsaved", detail: kept.cause().detail };
  return { type: "unsaved", ready: ready(kept.ready()), error };
}

function action({ tag, val }) {
  switch (tag) {
    case "lock":
      return { type: "lock", wait: Number(val.wait), seen: val.seen };
    case "read":
      return { type: "read" };
    case "send":
      return { type: "send", request: val.request, holds: val.holds };
    case "write":
      return { type: "write", replaces: val.replaces, blob: decoded(val.new), reserve: Number(val.reserve) };
    case "delete":
      return { type: "delete", replaces: val };
    default:
      return { type: "wait", time: Number(val) };
  }
}

function input(given) {
  const { type } = given;
  switch (type) {
    case "locked": {
      const tag = given.locked.replace("_", "-");
      return { tag: "locked", val: tag === "unsupported" ? { tag, val: storeError(given.error) } : { tag } };
    }
    case "read":
      return { tag: "read", val: read(given) };
    case "replied": {
      const { error } = given;
      const val = error
        ? { tag: "err", val: { kind: error.code.replace("_", "-"), detail: error.detail } }
        : { tag: "ok", val: response(given.response) };
      return { tag: "replied", val };
    }
    case "wrote":
    case "deleted": {
      const failed = { conflict: { tag: "conflict" }, failed: { tag: "failed", val: storeError(given.error) } };
      return { tag: type, val: given[type] === "ok" ? { tag: "ok" } : { tag: "err", val: failed[given[type]] } };
    }
    default:
      return { tag: "woke" };
  }
}

function read(given) {
  if (given.error) return { tag: "err", val: storeError(given.error) };
  return { tag: "ok", val: given.blob === null ? undefined : bytes(given.blob) };
}

function storeError(given) {
  return given && { kind: given.code.replace("store_", "").replace("_", "-"), detail: given.detail };
}

function storeErrorJson({ kind, detail }) {
  return { code: `store_${snake(kind)}`, detail };
}

function newLogin({ type, exchange, credentials: given }) {
  if (type === "credentials") return { tag: "tokens", val: tokens(given) };
  return { tag: "request", val: [exchange.request, client(exchange.client)] };
}

/** What is left out stands for an access token that lives until a resource rejects it, or for one that is over. */
function tokens(given) {
  const forEver = 2n ** 64n - 1n;
  return {
    accessToken: given.accessToken ?? "",
    refreshToken: given.refreshToken ?? undefined,
    expiresAt: moment(given.expiresAt) ?? (given.accessToken ? forEver : 0n),
    obtainedAt: moment(given.obtainedAt),
    scope: given.scope ?? undefined,
    client: given.client ? client(given.client) : undefined,
  };
}

function ready(given) {
  if (!given) return undefined;
  const { token, obtainedAt, via } = plain(given);
  const { value: accessToken, ...rest } = token;
  return { accessToken, ...rest, obtainedAt, via };
}

function failure({ tag, val }) {
  return { type: snake(tag), ...plain(val) };
}

function call({ call, arguments: given, returns, throws }) {
  let returned;
  try {
    returned = answers[call](...given);
  } catch (error) {
    if (!error.payload) throw error;
    const { code, message } = error.payload.val;
    return same({ code, message }, throws, "thrown");
  }
  same(returned, returns, "returned");
}

const answers = {
  begin({ provider: given, redirect, entropy }, at) {
    const digits = entropy.match(/../g).map((pair) => Number.parseInt(pair, 16));
    const taken = pkce.Entropy.take(Uint8Array.from(digits));
    const { pending, url } = login.Pending.begin(provider(given), { tag: redirect.type, val: redirect.uri }, taken);
    return { pending: decoded(pending.save(BigInt(at))), url, redirectUri: pending.redirectUri() };
  },
  receive(saved, callback, at) {
    const pending = login.Pending.restore(bytes(saved), BigInt(at));
    const { tag, val } = pending.receive({ tag: callback.type, val: callback.query ?? callback.text });
    switch (tag) {
      case "ignored":
        return { type: tag, code: val.code, message: val.message };
      case "denied": {
        const { code, message, hint } = val.problem;
        return { type: tag, code, message, hint, error: val.error };
      }
      default: {
        const [request, client] = requests.codeRequest(val);
        return { type: tag, exchange: { client: plain(client), request } };
      }
    }
  },
  status: (given, at) => plain(credentials.status(read(given), [], BigInt(at))),
  record: (given) => decoded(credentials.recordOf(tokens(given))),
  client: (given) => plain(login.clientOf(provider(given))),
  refreshRequest: (given, token) => requests.refreshRequest(client(given), token),
  readAnswer(given, answer, at) {
    const { tag, val } = requests.readAnswer(client(given), response(answer), now(at));
    const type = snake(tag);
    switch (tag) {
      case "issued":
      case "unknown":
        return { type, ...plain(val) };
      case "refused-by-status":
        return { type, status: val };
      case "throttled":
        return { type, retryAfter: val === undefined ? undefined : Number(val) };
      default:
        return { type, detail: val };
    }
  },
  revocationRequest: (given, token) => requests.revocationRequest(client(given), token),
  readRevocation(given) {
    try {
      requests.readRevocation(response(given));
      return { type: "done" };
    } catch ({ payload }) {
      return { type: "unconfirmed", detail: payload };
    }
  },
  revision: (given) => credentials.revisionOf(bytes(given)),
  isFresh: (token, minValid, at) =>
    credentials.isFresh(moment(token.expiresAt), moment(token.obtainedAt), BigInt(minValid), [], BigInt(at)),
  margin: (token, minValid, at) =>
    Number(credentials.margin(moment(token.expiresAt), moment(token.obtainedAt), BigInt(minValid), [], BigInt(at))),
};

/** A description, or the name of one that the component has. */
function provider(given) {
  switch (given.builtin) {
    case "claude":
      return login.claude(given.client_id);
    case "demo":
      return login.demo(given.issuer);
    case "demo-claude":
      return login.demoClaude(given.issuer);
    default: {
      const members = Object.entries(given).map(([name, value]) => [camel(name), value ?? undefined]);
      const { redirect, authorizationParameters, ...rest } = Object.fromEntries(members);
      const parameters = Object.entries(authorizationParameters ?? {});
      const left = { scopes: [], body: "form", refusedStatuses: [], expectsIss: false };
      return { ...left, ...rest, authorizationParameters: parameters };
    }
  }
}

function client(given) {
  return { refusedStatuses: [], ...given };
}

function response({ status, contentType, retryAfter, body }) {
  return { status, contentType: contentType ?? undefined, retryAfter: retryAfter ?? undefined, body: bytes(body) };
}

function figures(policy) {
  const kebab = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return Object.entries(policy ?? {}).map(([name, value]) => [kebab(name), BigInt(value)]);
}

function now({ wall, monotonic }) {
  return { wall: BigInt(wall), monotonic: BigInt(monotonic) };
}

function moment(given) {
  return given === null || given === undefined ? undefined : BigInt(given);
}

/** A string stands for its bytes, `{"base64": ...}` for those that it encodes. */
function bytes(given) {
  if (typeof given === "string") return new TextEncoder().encode(given);
  return Uint8Array.from(atob(given.base64), (char) => char.charCodeAt(0));
}

function decoded(bytes) {
  return new TextDecoder().decode(bytes);
}

function snake(name) {
  return name.replaceAll("-", "_");
}

function camel(name) {
  return name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
}

/** Without the classes and numbers of jco. An empty list of statuses is left out of the vectors. */
function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, plain);
  const members = Object.entries(value).map(([name, member]) => [name, plain(member)]);
  return Object.fromEntries(members.filter(([name, member]) => name !== "refusedStatuses" || member.length > 0));
}

function same(seen, expected, where) {
  const [a, b] = [canonical(seen, expected), canonical(expected)];
  if (a !== b) throw new Error(`${where}: ${a} in place of ${b}`);
}

/** Members in order, without those that are null. A host may leave `message` and `hint` out, as this one does where the WIT
 * package has no place for them, and for the `type` of what is `stale`: those are taken from what is expected. */
function canonical(value, like) {
  return JSON.stringify(sorted(value, like) ?? null);
}

function sorted(value, like) {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((member, index) => sorted(member, like?.[index]));
  const filled = { ...value };
  if (like && typeof like === "object" && "code" in like) {
    for (const name of ["message", "hint", "type"]) filled[name] ??= like[name];
  }
  const members = Object.entries(filled).filter(([, member]) => member !== null && member !== undefined);
  const inner = members.map(([name, member]) => [name, sorted(member, like?.[name])]);
  return Object.fromEntries(inner.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const failures = [];
let passed = 0;
for (const [entries, judge] of [[machines, runs], [calls, call]]) {
  for (const entry of entries) {
    try {
      judge(entry);
      passed += 1;
    } catch (error) {
      failures.push(`${entry.name}: ${error.stack}`);
    }
  }
}
console.log(JSON.stringify({ passed, failures }));
