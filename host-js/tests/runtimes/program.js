// The scenes of `runtimes.test.js`, for Node and Bun alike. Each prints what it returns as JSON.
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:http";
import { CommandSource, fetchWithToken, KraubeError, MemoryStore, revision, StoreFailure, TokenSource } from "../../../target/js/kraube/dist/node.js";

const scenes = {
  async memory({ credentials }) {
    const source = new TokenSource(new MemoryStore(credentials));
    const tokens = await Promise.all(Array.from({ length: 20 }, async () => (await source.token()).expose()));
    return { tokens, adopted: (await source.token()).expose() };
  },

  /** Two who are the first to read, and a login that is none. */
  async memory_first({ credentials }) {
    const source = new TokenSource(new MemoryStore(credentials));
    const first = await Promise.all([source.status(), source.status(), source.status()]);
    const none = new TokenSource(new MemoryStore({ accessToken: 7 }));
    const states = [...first, await none.status(), await none.status()].map(({ state }) => state);
    return { states, none: await told(none.token()) };
  },

  /** A resource answers 401 to the newest token, and late to the one before. */
  async rejected_late({ credentials, command }) {
    const own = new TokenSource(new MemoryStore(credentials), { policy: { rejectFloor: 0 } });
    const sources = { own, command: new CommandSource(command) };
    const results = {};
    for (const [name, source] of Object.entries(sources)) {
      const old = await source.token();
      source.reject(old);
      const last = await source.token();
      source.reject(last);
      source.reject(old);
      const next = await source.token().then((token) => token.expose(), (error) => error.code);
      results[name] = next === last.expose() ? "the rejected one" : next.length > 20 ? "another one" : next;
    }
    return results;
  },

  /** A resource has answered 401 to two tokens that this program has from elsewhere, the second of which is stored. */
  async rejected_elsewhere({ credentials, command }) {
    const own = new TokenSource(new MemoryStore(credentials), { policy: { rejectFloor: 0 } });
    const results = {};
    for (const [name, source] of Object.entries({ own, command: new CommandSource(command) })) {
      for (const token of ["older", credentials.accessToken]) source.reject(token);
      results[name] = (await source.token()).expose() === credentials.accessToken;
    }
    return results;
  },

  /** The login is another one, or ended, when an older run comes to its end. */
  async changed_in_mid_run({ credentials, other }) {
    const results = [];
    const changes = [(source) => source.install({ type: "credentials", credentials: other }), (source) => source.logout({ revoke: false })];
    for (const change of changes) {
      const store = ownStore();
      const source = new TokenSource(store);
      await source.install({ type: "credentials", credentials });
      const { read } = store;
      const late = new Promise((resolve) => {
        store.read = async () => {
          const blob = await read();
          store.read = read;
          await new Promise((answer) => resolve(answer));
          return blob;
        };
      });
      const early = source.token();
      const answer = await late;
      await change(source);
      answer();
      await early;
      results.push(await source.token().then((token) => token.expose(), (error) => error.code));
    }
    return results;
  },

  /** A resource answers 401 to a token that another program has stored, and that was served since a refresh takes long. */
  async rejected_in_mid_run({ credentials }) {
    const store = ownStore();
    const source = new TokenSource(store, { policy: { patience: 0 } });
    await source.install({ type: "credentials", credentials });
    source.reject(await source.token());
    const record = { ...JSON.parse(await store.read()), accessToken: "of another program", expiresAt: Date.now() + 30_000 };
    await store.write(await revision(await store.read()), JSON.stringify(record));
    const { fetch } = globalThis;
    const asked = new Promise((resolve) => {
      globalThis.fetch = () => new Promise((_, reject) => resolve(() => reject(new TypeError("away"))));
    });
    const served = await source.token();
    source.reject(served);
    (await asked)();
    globalThis.fetch = fetch;
    const next = await source.token().then((token) => token.expose(), (error) => error.code);
    return { served: served.expose(), next };
  },

  async own_store({ credentials, times }) {
    const store = ownStore();
    const sources = [1, 2].map(() => new TokenSource(store, { policy: { rejectFloor: 0 } }));
    await sources[0].install({ type: "credentials", credentials });
    const force = async (source) => {
      for (let count = 0; count < times; count += 1) source.reject(await source.token());
    };
    const results = await Promise.allSettled(sources.map(force));
    return { failures: results.filter(({ reason }) => reason !== undefined).map(({ reason }) => String(reason)) };
  },

  async failing_store({ credentials }) {
    const store = ownStore();
    const source = new TokenSource(store);
    await source.install({ type: "credentials", credentials });
    store.write = async () => {
      throw new Error("the database is away");
    };
    return told(source.token());
  },

  async unsaved({ credentials }) {
    const store = ownStore();
    const policy = { saveTime: 50, savePause: 10 };
    const source = new TokenSource(store, { policy });
    await source.install({ type: "credentials", credentials });
    const { write } = store;
    failAfterTheMark(store);
    const served = (await source.token()).expose();
    store.write = write;
    const read = async () => JSON.parse(await store.read()).accessToken;
    while ((await read()) !== served) await new Promise((resolve) => setTimeout(resolve, 20));
    return { served, stored: await read() };
  },

  /** Another login that cannot be stored yet. */
  async unsaved_login({ credentials, other }) {
    const store = ownStore();
    const source = new TokenSource(store, { policy: { saveTime: 50, savePause: 10 } });
    await source.install({ type: "credentials", credentials });
    await source.token();
    const { write } = store;
    store.write = () => Promise.reject(new StoreFailure("store_full", "no room"));
    const { error } = await told(source.install({ type: "credentials", credentials: other }));
    const next = (await source.token()).expose();
    store.write = write;
    return { error, next };
  },

  /** What cannot begin, or breaks down, while new tokens are stored nowhere. */
  async unsaved_kept({ credentials }) {
    const store = ownStore();
    const source = new TokenSource(store, { policy: { saveTime: 50, savePause: 10, deadline: 5000 } });
    await source.install({ type: "credentials", credentials });
    const { write } = store;
    failAfterTheMark(store);
    const served = (await source.token()).expose();
    const failures = [
      await told(source.install({ type: "nothing" })),
      await told(new TokenSource(store, { defaultClient: { name: "no client" } }).token()),
    ];
    const { delete: remove } = store;
    store.delete = () => "gone";
    const { type: logout } = await source.logout({ revoke: false });
    store.delete = remove;
    // No answer that there can be: the run ends in the middle.
    const { fetch } = globalThis;
    globalThis.fetch = async () => ({ status: "none", headers: new Headers(), body: null });
    failures.push(await told(source.logout()));
    globalThis.fetch = fetch;
    const { locked } = store;
    store.write = write;
    const read = async () => JSON.parse(await store.read()).accessToken;
    while ((await read()) !== served) await new Promise((resolve) => setTimeout(resolve, 20));
    source.reject(served);
    return { failures: failures.map(({ error }) => error), logout, locked, next: await told(source.token()) };
  },

  /** A store that does once what no store may do, when the new tokens are there. */
  async odd_store({ logins }) {
    const wrong = new StoreFailure("store_io", "");
    wrong.message = { text: "no" };
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const thrown = {
      code: new StoreFailure("ETIMEDOUT", "the database is away"),
      message: wrong,
      surrogate: new StoreFailure("store_io", "\ud800"),
      name: Object.assign(new Error(), { name: Symbol("name") }),
      nothing: undefined,
      proxy: revoked.proxy,
    };
    const throwing = Object.entries(thrown).map(([name, value]) => [`throws: ${name}`, { write: () => Promise.reject(value) }]);
    const written = [undefined, null, 7, "done", {}].map((value) => [`writes: ${value}`, { write: () => value }]);
    const found = [undefined, 7, true, "\ud800", {}, new ArrayBuffer(2)].map((value) => [`reads: ${value}`, { write: () => "conflict", read: () => value }]);
    const release = [
      ["releases: throws", { release: () => { throw new Error("no"); } }],
      ["releases: rejects", { release: async () => { throw new Error("no"); } }],
    ];
    const oddities = [...throwing, ...written, ...found, ...release];
    const results = oddities.map(async ([name, odd], at) => {
      const store = Object.assign(ownStore(), { key: name });
      const source = new TokenSource(store);
      await source.install({ type: "credentials", credentials: logins[at] });
      const { lock, read, write } = store;
      let writes = 0;
      store.write = (...parameters) => {
        writes += 1;
        if (writes !== 2) return write(...parameters);
        if (odd.read !== undefined) {
          store.read = () => {
            store.read = read;
            return odd.read();
          };
        }
        return odd.write ? odd.write() : write(...parameters);
      };
      store.lock = async (...parameters) => {
        const guard = await lock(...parameters);
        return { release: () => (guard.release(), odd.release?.()) };
      };
      const token = await source.token().then((token) => token.expose(), (error) => error);
      const stored = JSON.parse(await read()).accessToken;
      if (token !== stored || stored === logins[at].accessToken) return `${name}: ${token}`;
    });
    return { count: oddities.length, failures: (await Promise.all(results)).filter(Boolean) };
  },

  /** A store that reads what none can. */
  async odd_read() {
    const values = [null, undefined, 7, true, {}, new ArrayBuffer(2)];
    const sources = values.map((value) => new TokenSource(Object.assign(ownStore(), { read: () => value })));
    return Promise.all(sources.map(async (source) => (await source.status()).state));
  },

  /** A lock that is none. */
  async odd_lock({ credentials }) {
    const results = [];
    for (const guard of [undefined, null, 7, "held", "yes", {}]) {
      const store = Object.assign(ownStore(), { lock: () => guard });
      await store.write(null, await new MemoryStore(credentials).read(), 0);
      results.push((await told(new TokenSource(store).token())).error);
    }
    return results;
  },

  /** A token endpoint that answers nothing of use. */
  async hostile({ credentials, answer }) {
    const counts = { asked: 0, elsewhere: 0 };
    const answers = {
      redirect: (response) => response.writeHead(307, { location: "/elsewhere" }).end(),
      page: (response) => response.writeHead(200, { "content-type": "text/html" }).end("<p>Welcome to this network"),
      endless(response) {
        response.writeHead(200, { "content-type": "application/json" });
        const more = () => {
          while (response.write(" ".repeat(65536)));
        };
        response.on("drain", more).on("close", () => response.off("drain", more));
        more();
      },
    };
    const server = createServer((request, response) => {
      request.resume();
      counts[request.url === "/token" ? "asked" : "elsewhere"] += 1;
      answers[request.url === "/token" ? answer : "page"](response);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = { ...credentials.client, tokenEndpoint: `http://127.0.0.1:${server.address().port}/token` };
    const store = new MemoryStore({ ...credentials, expiresAt: 1, client });
    const { error } = await told(new TokenSource(store, { policy: { resendPause: 10 } }).token());
    const { refreshToken, accessToken } = JSON.parse(await store.read());
    const kept = refreshToken === credentials.refreshToken && accessToken === credentials.accessToken;
    server.closeAllConnections();
    server.close();
    return { error, ...counts, tokens: kept ? "kept" : "changed" };
  },

  async command(options) {
    const source = new CommandSource(options);
    const first = await source.token();
    const same = await source.token();
    source.reject(first);
    const second = await source.token({ minValid: 60_000 });
    return { first: first.expose(), same: same.expose(), second: second.expose() };
  },

  /** Times that are none, with a token in memory and without; and the longest. */
  async min_valid({ credentials, command }) {
    const sources = [new TokenSource(new MemoryStore(credentials)), new TokenSource(), new CommandSource(command)];
    sources.push(new CommandSource({ command: "/missing" }));
    for (const source of sources) await told(source.token());
    const ask = (minValid) => Promise.all(sources.map(async (source) => (await told(source.token({ minValid }))).error ?? "ok"));
    const none = [];
    for (const minValid of [-1, NaN, -Infinity, "60000", 1n]) none.push(...(await ask(minValid)));
    return { none, absent: await ask(null), longest: [...(await ask(1e300)), ...(await ask(Infinity))] };
  },

  command_fails: ({ commands }) => Promise.all(commands.map((options) => told(new CommandSource(options).token()))),

  /** With no file left that this process may open. */
  async command_starved(options) {
    const source = new CommandSource(options);
    // What the runtime itself opens for the first process stays open.
    await told(source.token());
    const files = [];
    try {
      for (;;) files.push(openSync("/dev/null", "r"));
    } catch (error) {
      if (error.code !== "EMFILE") throw error;
    }
    const starved = await told(source.token());
    for (const file of files) closeSync(file);
    return { starved, later: await told(source.token()) };
  },

  async fetch({ credentials, resource, control }) {
    const source = new TokenSource(new MemoryStore(credentials), { policy: { rejectFloor: 0 } });
    const seen = [];
    const server = () =>
      new Promise((resolve) => {
        const server = createServer(async (request, response) => {
          let body = "";
          for await (const chunk of request) body += chunk;
          seen.push({ authorization: request.headers.authorization, body });
          const [, kind, at] = /^\/(elsewhere|within)(.*)/.exec(request.url) ?? [];
          if (kind !== undefined) return response.writeHead(307, { location: `${kind === "within" ? "" : other.origin}${at || "/"}` }).end();
          response.writeHead(request.url === "/refuse" ? 401 : 200).end();
        }).listen(0, "127.0.0.1", () => {
          resolve({ origin: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() });
        });
      });
    const [api, other] = [await server(), await server()];
    const get = fetchWithToken(source, { allowedOrigins: [api.origin, new URL(resource).origin] });
    const last = async (...parameters) => {
      await get(...parameters);
      return seen.at(-1).authorization;
    };
    const bearer = `Bearer ${(await source.token()).expose()}`;
    const headers = {
      allowed: (await last(api.origin)) === bearer,
      other: (await last(other.origin)) !== undefined,
      redirected: (await last(`${api.origin}/elsewhere`)) !== undefined,
      own: await last(api.origin, { headers: { authorization: "Basic own" } }),
    };
    const json = { "content-type": "application/json" };
    await fetch(control, { method: "POST", headers: json, body: JSON.stringify({ expireAccessTokens: true }) });
    const answer = await get(resource);
    const bodies = async (body) => {
      seen.length = 0;
      await get(`${api.origin}/refuse`, { method: "POST", body, duplex: "half" });
      return seen.map(({ body }) => body);
    };
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("stream"));
        controller.close();
      },
    });
    const [retried, streamed] = [await bodies("body"), await bodies(stream)];
    /** What is answered, and how many different tokens have arrived. */
    const sent = async (...parameters) => {
      seen.length = 0;
      const { status } = await get(...parameters);
      return [status, new Set(seen.map(({ authorization }) => authorization).filter(Boolean)).size];
    };
    const redirects = [await sent(`${api.origin}/elsewhere/refuse`), await sent(`${api.origin}/within/refuse`)];
    // As in Firefox, where a request does not show its body.
    class Bodiless extends Request {
      get body() {
        return undefined;
      }
    }
    const bodiless = [];
    for (const method of ["get", "HEAD", "POST"]) {
      bodiless.push(await sent(new Bodiless(`${api.origin}/refuse`, { method })));
    }
    const plain = await told(fetchWithToken(source, { allowedOrigins: ["http://api.example"] })(api.origin));
    api.stop();
    other.stop();
    return { headers, resource: answer.status, retried, streamed, redirects, bodiless, plain: plain.message };
  },
};

/** The mark is written; then the database is away. */
function failAfterTheMark(store) {
  const { write } = store;
  let writes = 0;
  store.write = (...parameters) => {
    writes += 1;
    if (writes > 1) throw new StoreFailure("store_full", "no room");
    return write(...parameters);
  };
}

/** A store as a program may bring it: with a lock, and compare-and-set. */
function ownStore() {
  let [blob, locked] = [null, false];
  const current = async () => (blob === null ? null : revision(blob));
  return {
    key: "own",
    get locked() {
      return locked;
    },
    async lock(wait, seen) {
      const end = performance.now() + wait;
      for (;;) {
        if (!locked) {
          locked = true;
          return { release: () => (locked = false) };
        }
        if (seen !== null && (await current()) !== seen) return "changed";
        if (performance.now() >= end) return "timed_out";
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    async read() {
      return blob;
    },
    async write(replaces, next) {
      if ((await current()) !== replaces) return "conflict";
      blob = next;
      return "ok";
    },
    async delete(replaces) {
      if ((await current()) !== replaces) return "conflict";
      blob = null;
      return "ok";
    },
  };
}

async function told(work) {
  try {
    await work;
    return { ok: true };
  } catch (error) {
    if (!(error instanceof KraubeError)) throw error;
    return { error: error.code, message: error.message, hint: error.hint, type: error.failure?.type ?? null, detail: error.failure?.detail ?? null };
  }
}

const [scene, options] = process.argv.slice(2);
console.log(JSON.stringify(await scenes[scene](JSON.parse(options))));
