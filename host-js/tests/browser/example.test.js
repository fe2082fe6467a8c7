// The example page, as a person uses it: two tabs, one login, and a picture of it.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, person } from "../support/chromium.js";
import { pictures } from "../support/paths.js";
import { start } from "../support/server.js";

let [server, browser] = [];
before(async () => {
  server = await start({ autoApprove: false, accessLife: 60_000 });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("two tabs of the example share one rotation", { timeout: 180_000 }, async () => {
  const seen = [];
  const context = await person(browser, { seen });
  const visit = async () => {
    const page = await context.newPage();
    await page.goto(`${server.origin}/example/`);
    await page.waitForSelector("body[data-ready]");
    return page;
  };
  await mkdir(pictures, { recursive: true });
  const one = await visit();
  await one.screenshot({ path: `${pictures}/example-logged-out.png` });
  const [popup] = await Promise.all([one.waitForEvent("popup"), one.getByRole("button", { name: "Log in in a popup" }).click()]);
  await popup.getByRole("button", { name: "Deny" }).click();
  await one.getByText("the login was denied").waitFor();
  await one.getByRole("button", { name: "Log in", exact: true }).click();
  await one.getByRole("button", { name: "Approve" }).click();
  await one.getByRole("heading", { name: "You are logged in" }).waitFor();
  const two = await visit();
  await two.getByText("found it in the store").waitFor();
  await one.getByRole("button", { name: "Call the API" }).click();
  await one.getByText("called the API").waitFor();
  // Younger ones are not refreshed by force: see `rejectFloor` there.
  await one.waitForFunction(() => parseInt(document.getElementById("left").textContent) <= 58);
  await one.getByRole("button", { name: "Force a refresh" }).click();
  const first = await one.locator("#name").textContent();
  await two.locator("li", { hasText: first }).getByText("refreshed the token").waitFor();
  await two.getByRole("button", { name: "Force a refresh" }).click();
  const second = await two.locator("#name").textContent();
  await one.locator("li", { hasText: second }).getByText("adopted the new token").waitFor();
  const { replays, rotations, refresh_requests } = await server.counters();
  assert.deepEqual({ replays, requests: refresh_requests }, { replays: 0, requests: rotations });
  await one.screenshot({ path: `${pictures}/example.png` });
  await one.emulateMedia({ colorScheme: "dark" });
  await one.screenshot({ path: `${pictures}/example-dark.png` });
  assert.deepEqual(
    seen.filter((line) => line.startsWith("error:") || line.includes("Content Security Policy")),
    [],
  );
  await context.close();
});
