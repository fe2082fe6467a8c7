/**
 * A person at `oidc-provider`, in the real browser: `click.js URL` opens the address, logs in, agrees, and prints the
 * heading of the page that the browser ends on. For suites that are not in JavaScript, as the command that `BROWSER` names.
 */
import { chromium } from "playwright-core";

/** Longer than a busy machine takes for anything. */
const PATIENCE = 240_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
  timeout: PATIENCE,
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.goto(process.argv[2]);
  await page.getByPlaceholder("Enter any login").fill("somebody");
  await page.getByPlaceholder("and password").fill("anything");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  // The listener takes the code out of the address before it shows its page.
  await page.waitForURL((url) => url.hostname === "127.0.0.1" && url.search === "" && !url.pathname.startsWith("/interaction"));
  console.log(await page.getByRole("heading").first().innerText());
} finally {
  await browser.close();
}
