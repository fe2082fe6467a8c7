// Many tabs with one login, in real Chromium, at servers that forgive no replay.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { launch, person } from "../support/chromium.js";
import { startBoth } from "../support/servers.js";
import { isLive, open, redirectLogin, restored, status, token } from "./harness.js";

const TABS = 8;
const ROTATIONS = 100;

const { servers, stop } = await startBoth();
const own = servers["the embedded server"];
let browser;
before(async () => (browser = await launch()));
after(async () => {
  await browser?.close();
  await stop();
});

// Also after a test that ran out of time.
afterEach(() => own.pages.set({ latency: 0, grace: null, accessLife: 3600_000, cors: true }));

function scene(name, work) {
  test(name, { timeout: 300_000 }, async () => {
    const context = await person(browser);
    try {
      await work(context);
    } finally {
      await context.close();
    }
  });
}

/** Tabs that share one login, which the first of them has begun. */
async function tabs(context, server, options, count = TABS) {
  const first = await open(context, server, options);
  const rest = Array.from({ length: count - 1 }, () => open(context, server, options));
  const pages = [first, ...(await Promise.all(rest))];
  assert.deepEqual(await redirectLogin(first, server), { ok: "logged_in" });
  return pages;
}

for (const [name, server] of Object.entries(servers)) {
  describe(name, () => {
    for (const store of ["indexedDB", "localStorage"]) {
      scene(`${TABS} tabs with an expired token make one request (${store})`, async (context) => {
        await server.setLife(1);
        const pages = await tabs(context, server, { store });
        const before = await server.counts();
        await pages[0].evaluate(async () => {
          const { expiresAt } = await harness.source.status();
          await new Promise((resolve) => setTimeout(resolve, expiresAt - Date.now()));
        });
        await server.setLife(3600);
        const tokens = await Promise.all(pages.map((page) => token(page)));
        assert.equal(new Set(tokens.map(({ ok }) => ok)).size, 1, JSON.stringify(tokens.map(({ error }) => error)));
        const after = await server.counts();
        assert.deepEqual([after.rotations - before.rotations, after.replays - before.replays], [1, 0]);
      });

      scene(`${TABS} tabs that force ${ROTATIONS} rotations never present a spent token (${store})`, async (context) => {
        const pages = await tabs(context, server, { store });
        const before = await server.counts();
        const enough = async () => (await server.counts()).rotations - before.rotations >= ROTATIONS;
        const results = await Promise.all(
          pages.map(async (page) => {
            await page.evaluate(() => harness.use({ rejectFloor: 0 }));
            let result = { ok: null };
            while (result.error === undefined && !(await enough())) result = await page.evaluate(() => harness.force(5));
            return result;
          }),
        );
        assert.deepEqual(results, pages.map(() => ({ ok: null })));
        const after = await server.counts();
        assert.equal(after.replays - before.replays, 0);
        assert.equal(after.requests - before.requests, after.rotations - before.rotations, "one request for each rotation");
        assert.ok(await isLive(server, (await token(pages[0])).ok));
      });
    }
  });
}

scene("one tab rejects a token, and the others adopt what it has refreshed", async (context) => {
  const [one, other] = await tabs(context, own, {}, 2);
  const { ok: first } = await token(one);
  assert.equal((await token(other)).ok, first);
  await one.evaluate(() => harness.use({ rejectFloor: 0 }));
  assert.deepEqual(await one.evaluate(() => harness.force(1)), { ok: null });
  const { ok: second } = await token(one);
  const before = await own.pages.counters();
  const adopted = await other.evaluate(async (first) => {
    harness.source.reject(first);
    const token = await harness.source.token();
    return { token: token.expose(), via: token.via };
  }, first);
  assert.deepEqual(adopted, { token: second, via: "store" });
  assert.equal((await own.pages.counters()).refresh_requests, before.refresh_requests);
});

scene("a tab that is closed in mid-refresh blocks nobody, and what it had spent is recovered", async (context) => {
  await own.pages.set({ grace: 60_000 });
  const [closed, other] = await tabs(context, own, {}, 2);
  const before = await own.pages.counters();
  await own.pages.set({ latency: 60_000 });
  await closed.evaluate(() => {
    harness.use({ rejectFloor: 0 });
    void harness.force(2);
  });
  await own.pages.until(({ rotations }) => rotations > before.rotations);
  await closed.close();
  await own.pages.set({ latency: 0 });
  assert.equal((await status(other)).state, "in_doubt");
  const result = await other.evaluate(async () => {
    // The browser releases it a moment after the page has gone; until then a living token is served without a try.
    await navigator.locks.request(`kraube:${harness.store.key}`, () => {});
    // The living token is there for who waits too long, and would be served before the refresh is over.
    harness.use({ settle: 100, patience: 60_000 });
    return harness.force(1);
  });
  assert.deepEqual(result, { ok: null });
  const after = await own.pages.counters();
  assert.deepEqual([after.grace_retries - before.grace_retries, after.replays - before.replays], [1, 0]);
  assert.equal((await status(other)).state, "valid");
});

scene("a tab that is frozen in mid-refresh blocks nobody who has a living token, and is named to the others", async (context) => {
  const [frozen, other] = await tabs(context, own, {}, 2);
  const { ok: living } = await token(other);
  await own.pages.set({ latency: 60_000 });
  const before = await own.pages.counters();
  await frozen.evaluate(() => {
    harness.use({ rejectFloor: 0 });
    void harness.force(2);
  });
  await own.pages.until(({ rotations }) => rotations > before.rotations);
  const debug = await context.newCDPSession(frozen);
  await debug.send("Debugger.enable");
  await debug.send("Debugger.pause");
  await other.evaluate(() => harness.use({ patience: 100, deadline: 300 }));
  const served = await other.evaluate(async () => {
    const token = await harness.source.token({ minValid: 7_200_000 });
    return { token: token.expose(), stale: token.stale?.code ?? null };
  });
  assert.equal(served.token, living);
  const rejected = await other.evaluate(async (living) => {
    harness.source.reject(living);
    return harness.token();
  }, living);
  assert.equal(rejected.error, "busy");
  assert.equal((await own.pages.counters()).refresh_requests, before.refresh_requests + 1);
});

scene("a page that comes back from the back/forward cache adopts what was refreshed meanwhile", async (context) => {
  const [page, other] = await tabs(context, own, {}, 2);
  const { ok: first } = await token(page);
  await page.evaluate(() => (window.marker = "kept"));
  await page.goto(`${own.pages.issuer}/`);
  await other.evaluate(() => harness.use({ rejectFloor: 0 }));
  assert.deepEqual(await other.evaluate(() => harness.force(1)), { ok: null });
  const { ok: second } = await token(other);
  const before = await own.pages.counters();
  await page.evaluate(() => void setTimeout(() => history.back()));
  await page.waitForURL(`${own.pages.origin}/**`, { waitUntil: "commit" });
  await restored(page);
  assert.equal(await page.evaluate(() => window.marker), "kept");
  const adopted = await page.evaluate(async (first) => {
    harness.source.reject(first);
    return harness.token();
  }, first);
  assert.deepEqual(adopted, { ok: second });
  assert.equal((await own.pages.counters()).refresh_requests, before.refresh_requests);
});

scene("without Web Locks one tab works all the same", async (context) => {
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
  const page = await open(context, own);
  assert.equal(await page.evaluate(() => harness.store.shared), false);
  assert.deepEqual(await redirectLogin(page, own), { ok: "logged_in" });
  const before = await own.pages.counters();
  await page.evaluate(() => harness.use({ rejectFloor: 0 }));
  const [one, two] = await page.evaluate(() => Promise.all([harness.force(5), harness.force(5)]));
  assert.deepEqual([one, two], [{ ok: null }, { ok: null }]);
  const after = await own.pages.counters();
  assert.ok(after.rotations > before.rotations);
  assert.equal(after.replays, before.replays);
});

scene("an answer that the browser keeps back (CORS) is an unknown outcome, and changes no credentials", async (context) => {
  const page = await open(context, own);
  await redirectLogin(page, own);
  const tokens = () => page.evaluate(async () => {
    const { refreshToken, accessToken, expiresAt } = JSON.parse(await harness.store.read());
    return { refreshToken, accessToken, expiresAt };
  });
  const stored = await tokens();
  await own.pages.set({ cors: false, grace: 60_000 });
  await page.evaluate(() => harness.use({ rejectFloor: 0 }));
  const { error, hint } = await page.evaluate(async () => {
    harness.source.reject(await harness.source.token());
    return harness.token();
  });
  assert.equal(error, "in_doubt");
  assert.match(hint, /same refresh token/);
  assert.deepEqual(await tokens(), stored);
  assert.equal((await status(page)).state, "in_doubt");
});

scene("fetch with the token: for allowed origins alone, and a 401 is answered with another token, once", async (context) => {
  const page = await open(context, own);
  await redirectLogin(page, own);
  const sent = [];
  context.on("request", (request) => {
    const [path, method] = [new URL(request.url()).pathname, request.method()];
    sent.push(request.allHeaders().then(({ authorization }) => ({ path, method, token: authorization !== undefined })));
  });
  await page.evaluate(() => harness.use({ rejectFloor: 0 }));
  const before = await own.pages.counters();
  await own.pages.set({ expireAccessTokens: true });
  const answers = await page.evaluate(async ({ issuer, resource }) => {
    const fetch = harness.kraube.fetchWithToken(harness.source, { allowedOrigins: [issuer] });
    const statuses = [];
    for (const url of [resource, "/pages/harness.html", resource]) statuses.push((await fetch(url)).status);
    return statuses;
  }, { issuer: own.pages.issuer, resource: own.resource });
  assert.deepEqual(answers, [200, 200, 200]);
  const after = await own.pages.counters();
  assert.deepEqual([after.rotations - before.rotations, after.resource_401 - before.resource_401], [1, 1]);
  const calls = (await Promise.all(sent)).filter(({ method }) => method === "GET").map(({ path, token }) => [path, token]);
  assert.deepEqual(calls, [["/resource", true], ["/resource", true], ["/pages/harness.html", false], ["/resource", true]]);
});

scene("a caller that gives up stops nobody's refresh", async (context) => {
  const page = await open(context, own);
  await redirectLogin(page, own);
  const before = await own.pages.counters();
  await own.pages.set({ latency: 300 });
  await page.evaluate(() => harness.use({ rejectFloor: 0 }));
  const [gaveUp, stayed] = await page.evaluate(async () => {
    harness.source.reject(await harness.source.token());
    const controller = new AbortController();
    const impatient = harness.told(() => harness.source.token({ signal: controller.signal }));
    const patient = harness.token();
    controller.abort();
    return Promise.all([impatient, patient]);
  });
  assert.equal(gaveUp.error, "AbortError");
  assert.ok(await isLive(own, stayed.ok));
  assert.equal((await own.pages.counters()).rotations, before.rotations + 1);
});
