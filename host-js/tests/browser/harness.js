/** How the tests use the page of the tests (`pages/harness.html`). */

/** Opens it in a new tab. */
export async function open(context, { pages }, { store = "indexedDB" } = {}) {
  const page = await context.newPage();
  await page.goto(`${pages.origin}/pages/harness.html#store=${store}`);
  await ready(page);
  return page;
}

/** Waits until a page is the page of the tests and has run its script. */
export async function ready(page) {
  await until(page, () => document.body?.dataset.ready !== undefined && window.left !== true);
}

/** Waits until it comes back from the back/forward cache. */
export function restored(page) {
  return until(page, () => window.harness?.restored === true);
}

/** Looks at the clock, and not at each frame: a tab that is not in front may draw none. */
function until(page, holds) {
  return page.waitForFunction(holds, undefined, { polling: 50 });
}

/** Does something that leaves the page, and waits for the page that comes in the end. */
export async function leave(page, work) {
  await page.evaluate(() => (window.left = true));
  await work();
}

/** Begins a login by redirect, and is on the page of the server then. */
export async function beginRedirect(page, { login }) {
  await leave(page, () => page.evaluate((login) => void harness.redirect(login), login));
  await page.waitForURL((url) => url.origin === new URL(login.provider.issuer).origin);
}

/** A whole login by redirect: what `finishLogin` came to. */
export async function redirectLogin(page, server) {
  await beginRedirect(page, server);
  await server.approve(page);
  await ready(page);
  return finished(page);
}

export function finished(page) {
  return page.evaluate(() => harness.finished);
}

/** Begins a login in a popup: the window, and what `loginWithPopup` will come to. */
export async function beginPopup(page, { login }, options = {}) {
  await page.evaluate((options) => harness.popup(options), { ...login, ...options });
  const [popup] = await Promise.all([page.waitForEvent("popup"), page.click("#go")]);
  await popup.waitForURL((url) => url.origin === new URL(login.provider.issuer).origin);
  return { popup, result: () => page.evaluate(() => harness.result) };
}

export function token(page, options) {
  return page.evaluate((options) => harness.token(options), options);
}

export function status(page) {
  return page.evaluate(() => harness.source.status());
}

/** Whether a resource server takes it. */
export async function isLive(server, accessToken) {
  const answer = await fetch(server.resource, { headers: { authorization: `Bearer ${accessToken}` } });
  return answer.ok;
}
