// Canaries: no token, code or verifier in an address, a console, an error or a referrer of a real browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, person } from "../support/chromium.js";
import { startBoth } from "../support/servers.js";
import { beginPopup, open, redirectLogin } from "./harness.js";

const { servers, stop } = await startBoth();
const own = servers["the embedded server"];
let browser;
before(async () => (browser = await launch()));
after(async () => {
  await browser?.close();
  await stop();
});

test("secrets are in no address but the answer's own, in no console and in no error", { timeout: 180_000 }, async () => {
  const seen = [];
  const context = await person(browser, { seen });
  const secrets = new Set();
  const codes = new Set();
  context.on("request", (request) => {
    const body = new URLSearchParams(request.postData() ?? "");
    for (const name of ["refresh_token", "code_verifier", "code", "token"]) if (body.has(name)) secrets.add(body.get(name));
    const code = new URL(request.url()).searchParams.get("code");
    if (code !== null) codes.add(code);
  });
  const page = await open(context, own);
  const keep = async () => {
    const stored = await page.evaluate(async () => new Response(await harness.store.read()).text());
    const { accessToken, refreshToken } = JSON.parse(stored);
    secrets.add(accessToken).add(refreshToken);
  };
  assert.deepEqual(await redirectLogin(page, own), { ok: "logged_in" });
  await keep();
  // All that a program may do with a token and an error without meaning to show them.
  const shown = await page.evaluate(async () => {
    harness.use({ rejectFloor: 0 });
    const token = await harness.source.token();
    console.log("token", token, String(token), JSON.stringify({ token }), harness.source, harness.store);
    const printed = [String(token), JSON.stringify(token), JSON.stringify(harness.source), Object.entries(token).join()];
    await harness.force(2);
    const answer = await harness.kraube.fetchWithToken(harness.source, { allowedOrigins: [new URL("http://127.0.0.1").origin] })("/pages/harness.html");
    return [...printed, answer.url];
  });
  await keep();
  await own.pages.set({ cors: false });
  const errors = [await page.evaluate(async () => {
    const error = await harness.source.token().catch((error) => error);
    console.error("refused", error);
    return [error.message, error.stack, String(error.cause), JSON.stringify(error), JSON.stringify(error.failure)].join("\n");
  })];
  await own.pages.set({ cors: true });
  await page.evaluate(() => harness.source.logout());
  const { popup, result } = await beginPopup(page, own);
  await own.approve(popup);
  assert.deepEqual(await result(), { ok: null });
  await keep();
  const history = await page.evaluate(() => [location.href, document.referrer, window.name, document.cookie]);

  assert.ok(secrets.size >= 10, "the canaries are known");
  assert.equal(codes.size, 2);
  const everywhere = [...seen, ...shown, ...errors, ...history];
  for (const secret of secrets) {
    if (codes.has(secret)) continue;
    const leak = everywhere.find((text) => text.includes(secret));
    assert.equal(leak, undefined, `a secret in: ${leak?.replaceAll(secret, "[secret]")}`);
  }
  // The code is in the address of the answer, which the server has made, and nowhere else.
  for (const code of codes) {
    const places = everywhere.filter((text) => text.includes(code)).map((text) => text.split("?")[0]);
    assert.deepEqual(new Set(places), new Set([`url: ${own.login.redirectUri}`]));
  }
  await context.close();
});
