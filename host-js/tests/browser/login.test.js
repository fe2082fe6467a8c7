// Logins of a page in real Chromium, at the embedded server and at one that nobody here wrote.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { launch, person } from "../support/chromium.js";
import { startBoth } from "../support/servers.js";
import { beginPopup, beginRedirect, finished, isLive, leave, open, ready, redirectLogin, restored, status, token } from "./harness.js";

const { servers, stop } = await startBoth();
let browser;
before(async () => (browser = await launch()));
after(async () => {
  await browser?.close();
  await stop();
});
// Also after a test that ran out of time.
afterEach(() => servers["the embedded server"].pages.set({ latency: 0, cors: true }));

/** A test with a new person in front of the browser. `asked` are the authorization requests that the server gets. */
function scene(name, work) {
  test(name, { timeout: 180_000 }, async () => {
    const context = await person(browser);
    const asked = [];
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.searchParams.has("code_challenge")) asked.push({ url: url.href, state: url.searchParams.get("state") });
    });
    try {
      await work(context, asked);
    } finally {
      await context.close();
    }
  });
}

for (const [name, server] of Object.entries(servers)) {
  describe(name, () => {
    scene("login by redirect", async (context) => {
      const page = await open(context, server);
      assert.deepEqual(await redirectLogin(page, server), { ok: "logged_in" });
      assert.equal(page.url(), server.login.redirectUri, "nothing of the answer is left in the address");
      const { ok } = await token(page);
      assert.ok(await isLive(server, ok));
      assert.equal(await page.evaluate(() => sessionStorage.getItem("kraube:pending")), null);
    });

    scene("login in a popup, which closes by itself", async (context) => {
      const page = await open(context, server, { store: "memory" });
      const { popup, result } = await beginPopup(page, server);
      const closed = popup.waitForEvent("close");
      await server.approve(popup);
      assert.deepEqual(await result(), { ok: null });
      await closed;
      assert.ok(await isLive(server, (await token(page)).ok));
      assert.equal(page.url().split("#")[0], server.login.redirectUri, "the page itself has not moved");
    });

    scene("a login that was denied says so, and leaves nothing behind", async (context) => {
      const page = await open(context, server);
      await beginRedirect(page, server);
      await server.deny(page);
      await ready(page);
      const { error, failure } = await finished(page);
      assert.deepEqual([error, failure], ["denied", null]);
      assert.equal((await status(page)).state, "logged_out");
      const { popup, result } = await beginPopup(page, server);
      await server.deny(popup);
      assert.equal((await result()).error, "denied");
    });

    scene("a forged answer with another state or issuer is ignored, and the login goes on", async (context, asked) => {
      const page = await open(context, server);
      const requests = (await server.counts()).requests;
      await beginRedirect(page, server);
      const [pending] = asked;
      const forged = [
        [{ code: "forged", state: "forged" }, "state_mismatch"],
        [{ error: "access_denied", state: "forged" }, "state_mismatch"],
        [{ code: "forged", state: pending.state, iss: "https://evil.example" }, "issuer_mismatch"],
        [{ error: "access_denied", state: pending.state, iss: "https://evil.example" }, "issuer_mismatch"],
        [{ code: "forged", state: pending.state }, "issuer_missing"],
      ];
      for (const [answer, code] of forged) {
        await page.goto(`${server.login.redirectUri}?${new URLSearchParams(answer)}`);
        await ready(page);
        const { error, failure } = await finished(page);
        assert.deepEqual([error, failure], [code, null], JSON.stringify(answer));
        assert.equal(page.url(), server.login.redirectUri);
      }
      assert.equal((await server.counts()).requests, requests, "nothing was sent to the token endpoint");
      await page.goto(pending.url);
      await server.approve(page);
      await ready(page);
      assert.deepEqual(await finished(page), { ok: "logged_in" });
    });

    scene("a popup listens to pages of its own origin alone, and to the state of its login", async (context, asked) => {
      const page = await open(context, server);
      const { popup, result } = await beginPopup(page, server);
      const [{ url, state }] = asked;
      // With the right state: only the origin tells it from the true answer.
      await popup.evaluate((state) => {
        const iss = location.origin;
        const query = `?${new URLSearchParams({ error: "access_denied", state, iss })}`;
        window.opener.postMessage({ kraube: "answer", id: "forged", query }, "*");
      }, state);
      await popup.goto(`${server.login.redirectUri}?code=forged&state=forged`);
      await ready(popup);
      assert.equal((await finished(popup)).error, "nothing_pending", "nobody took it");
      await popup.goto(url);
      await server.approve(popup);
      assert.deepEqual(await result(), { ok: null });
      assert.ok(await isLive(server, (await token(page)).ok));
    });

    scene("a reload at the server loses nothing; one on the way back costs a new login at most", async (context) => {
      const page = await open(context, server);
      await beginRedirect(page, server);
      await page.reload();
      await server.approve(page);
      await ready(page);
      assert.deepEqual(await finished(page), { ok: "logged_in" });
      await leave(page, () => page.reload());
      await ready(page);
      assert.deepEqual(await finished(page), { ok: "no_answer" });
      assert.equal((await status(page)).state, "valid");
    });

    scene("going back in mid-login comes back to a page that can begin anew", async (context) => {
      const page = await open(context, server);
      await page.evaluate(() => (window.marker = "kept"));
      await beginRedirect(page, server);
      await page.evaluate(() => void setTimeout(() => history.back()));
      await page.waitForURL(`${server.pages.origin}/**`, { waitUntil: "commit" });
      await restored(page);
      assert.equal(await page.evaluate(() => window.marker), "kept", "it is the very page, from the back/forward cache");
      assert.deepEqual(await redirectLogin(page, server), { ok: "logged_in" });
    });

    scene("logging out revokes the login and deletes it for all tabs", async (context) => {
      const page = await open(context, server);
      await redirectLogin(page, server);
      const { ok } = await token(page);
      const other = await open(context, server);
      assert.equal((await token(other)).ok, ok);
      const result = await page.evaluate(() => harness.source.logout());
      assert.deepEqual(result, { type: "deleted", revoked: { type: "yes" } });
      assert.equal((await status(other)).state, "logged_out");
      assert.equal((await token(page)).error, "logged_out");
    });
  });
}

const own = servers["the embedded server"];

/** What the page keeps for the way back, changed. */
function damage(page, change) {
  return page.evaluate((change) => {
    const attempt = JSON.parse(sessionStorage.getItem("kraube:pending"));
    const pending = { ...JSON.parse(attempt.pending), ...change };
    sessionStorage.setItem("kraube:pending", JSON.stringify({ ...attempt, pending: JSON.stringify(pending) }));
  }, change);
}

for (const [code, change] of Object.entries({ pending_expired: { created: 1 }, pending_unreadable: { state: 1 }, pending_version: { version: 99 } })) {
  scene(`a redirect that was left behind (${code}) is forgotten, and stands in no popup's way`, async (context) => {
    const page = await open(context, own);
    await beginRedirect(page, own);
    await page.goto(own.login.redirectUri);
    await ready(page);
    await damage(page, change);
    const { popup, result } = await beginPopup(page, own);
    const closed = popup.waitForEvent("close");
    await own.approve(popup);
    assert.deepEqual(await result(), { ok: null });
    await closed;
    assert.ok(await isLive(own, (await token(page)).ok));
    for (const expected of [code, "nothing_pending"]) {
      await page.goto(`${own.login.redirectUri}?code=x&state=y`);
      await ready(page);
      assert.equal((await finished(page)).error, expected);
      assert.equal(page.url(), own.login.redirectUri);
    }
  });
}

scene("a page with a state of its own is left as it is, and so is the login that is under way", async (context) => {
  const page = await open(context, own);
  const visit = async () => {
    for (const rest of ["?state=open&page=3#section", "?state=open&code=#section", "?code=1&error=2#section"]) {
      await page.goto("about:blank");
      await page.goto(`${own.login.redirectUri}${rest}`);
      await ready(page);
      assert.deepEqual(await finished(page), { ok: "no_answer" }, rest);
      assert.equal(page.url(), `${own.login.redirectUri}${rest}`);
    }
  };
  await visit();
  await beginRedirect(page, own);
  const asked = page.url();
  await visit();
  await page.goto(asked);
  await own.approve(page);
  await ready(page);
  assert.deepEqual(await finished(page), { ok: "logged_in" });
});

scene("an answer on another page than the redirect URI keeps the path of that page, and the state tells whose it is", async (context) => {
  const page = await open(context, own);
  await beginRedirect(page, own);
  await page.route("**/*code=*&state=*", (route) => route.abort());
  const [answer] = await Promise.all([page.waitForRequest(/[?&]code=/), own.approve(page)]);
  await page.goto(own.login.redirectUri);
  await ready(page);
  const arrive = (query) =>
    page.evaluate((query) => {
      history.pushState(null, "", `/elsewhere/${query}#fragment`);
      return harness.told(() => harness.kraube.finishLogin(harness.source));
    }, query);
  assert.equal((await arrive("?code=x&state=y")).error, "state_mismatch");
  assert.equal(page.url(), `${own.pages.origin}/elsewhere/`);
  assert.deepEqual(await arrive(new URL(answer.url()).search), { ok: "logged_in" });
  assert.equal(page.url(), `${own.pages.origin}/elsewhere/`);
  // To a browser that looks like the name of another host.
  const { error } = await page.evaluate(() => {
    history.pushState(null, "", `${location.origin}//elsewhere/?code=x&state=y`);
    return harness.told(() => harness.kraube.finishLogin(harness.source));
  });
  assert.deepEqual([error, page.url()], ["nothing_pending", `${own.pages.origin}//elsewhere/`]);
});

scene("a popup that the browser blocks is an error that says what to do", async (context) => {
  const page = await open(context, own);
  const result = await page.evaluate(async (login) => {
    window.open = () => null;
    return harness.told(() => harness.kraube.loginWithPopup(harness.source, login));
  }, own.login);
  assert.equal(result.error, "popup_blocked");
  assert.match(result.hint, /click/);
});

scene("a popup without a click is blocked by the browser itself", async (context) => {
  const page = await open(context, own);
  const session = await context.newCDPSession(page);
  // The driver's own calls count as clicks; one click is good for one window, so the first of the two uses it up.
  const { result } = await session.send("Runtime.evaluate", {
    expression: `
      window.open("about:blank")?.close();
      harness.told(() => harness.kraube.loginWithPopup(harness.source, ${JSON.stringify(own.login)})).then(JSON.stringify)`,
    awaitPromise: true,
    userGesture: false,
  });
  assert.equal(JSON.parse(result.value).error, "popup_blocked");
});

scene("closing the popup ends the login with an error of its own", async (context) => {
  const page = await open(context, own);
  const { popup, result } = await beginPopup(page, own);
  await popup.close();
  assert.equal((await result()).error, "popup_closed");
});

scene("a signal ends the login in a popup, closes the window, and is let go", async (context) => {
  const page = await open(context, own);
  await page.evaluate((login) => {
    harness.controller = new AbortController();
    harness.listeners = 0;
    const { signal } = harness.controller;
    for (const [name, count] of [["addEventListener", 1], ["removeEventListener", -1]]) {
      const method = signal[name].bind(signal);
      signal[name] = (...parameters) => {
        harness.listeners += count;
        method(...parameters);
      };
    }
    harness.popup({ ...login, signal });
  }, own.login);
  const [popup] = await Promise.all([page.waitForEvent("popup"), page.click("#go")]);
  await popup.waitForURL((url) => url.origin === own.pages.issuer);
  const closed = popup.waitForEvent("close");
  const result = await page.evaluate(async () => {
    harness.controller.abort();
    return [(await harness.result).error, harness.listeners];
  });
  assert.deepEqual(result, ["AbortError", 0]);
  await closed;
});

scene("a redirect URI of another origin is refused before a window is of any use", async (context) => {
  const page = await open(context, own);
  const refused = {
    "https://elsewhere.example/": "redirect_elsewhere",
    // A browser reads no such name, so that not even its origin can be told.
    "https://xn--a/": "redirect_elsewhere",
    "http://": "invalid_redirect",
    "/callback": "invalid_redirect",
  };
  for (const [redirectUri, code] of Object.entries(refused)) {
    const result = await page.evaluate((login) => harness.redirect(login), { ...own.login, redirectUri });
    assert.equal(result.error, code, redirectUri);
  }
});

scene("by default a login is in the memory of the page, and in nothing that the browser keeps", async (context) => {
  const page = await open(context, own, { store: "memory" });
  const credentials = await own.pages.login();
  const found = await page.evaluate(async (credentials) => {
    const source = new harness.kraube.TokenSource();
    await source.install({ type: "credentials", credentials });
    const token = (await source.token()).expose();
    const texts = JSON.stringify({ ...localStorage, ...sessionStorage });
    const databases = (await indexedDB.databases()).map(({ name }) => name);
    const workers = await navigator.serviceWorker.getRegistrations();
    return { token, texts, others: [...databases, ...(await caches.keys()), ...workers.map(({ scope }) => scope)] };
  }, credentials);
  assert.equal(found.token, credentials.accessToken);
  for (const secret of [credentials.accessToken, credentials.refreshToken]) assert.ok(!found.texts.includes(secret));
  assert.deepEqual([found.others, await context.cookies()], [[], []]);
});

scene("an answer that no tab waits for is an error, and is taken out of the address", async (context) => {
  const page = await context.newPage();
  await page.goto(`${own.login.redirectUri}?code=x&state=y`);
  await ready(page);
  assert.equal((await finished(page)).error, "nothing_pending");
  assert.equal(page.url(), own.login.redirectUri);
});

scene("a reload while the code is being exchanged never sends it twice", async (context) => {
  const page = await open(context, own);
  await own.pages.set({ latency: 60_000 });
  const before = await own.pages.counters();
  await beginRedirect(page, own);
  await own.approve(page);
  await own.pages.until((counters) => counters.codes_redeemed > before.codes_redeemed);
  await leave(page, () => page.reload());
  await ready(page);
  await own.pages.set({ latency: 0 });
  assert.deepEqual(await finished(page), { ok: "no_answer" });
  assert.equal((await status(page)).state, "logged_out");
  assert.deepEqual(await redirectLogin(page, own), { ok: "logged_in" });
  const { codes_redeemed, refused } = await own.pages.counters();
  assert.deepEqual([codes_redeemed - before.codes_redeemed, refused - before.refused], [2, 0]);
});

scene("where the token endpoint's answer is kept back (CORS), the login fails and says that the outcome is unknown", async (context) => {
  const page = await open(context, own);
  await own.pages.set({ cors: false });
  await beginRedirect(page, own);
  await own.approve(page);
  await ready(page);
  const result = await finished(page);
  await own.pages.set({ cors: true });
  assert.equal(result.error, "code_in_doubt");
  assert.equal((await status(page)).state, "logged_out");
});
