/** The real browser. */
import { chromium } from "playwright-core";
import { chromium as executablePath } from "./paths.js";

/** Starts it. `watch` is told of everything that pages print and of every address that they ask for. */
export async function launch() {
  const browser = await chromium.launch({
    executablePath,
    // What playwright turns off, and these tests are about: pages that are kept for going back, and blocked popups.
    ignoreDefaultArgs: ["--disable-back-forward-cache", "--disable-popup-blocking"],
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return browser;
}

/** A person of their own: cookies and storage are shared by the pages of a context, and by nobody else. */
export async function person(browser, { seen } = {}) {
  const context = await browser.newContext({ viewport: { width: 900, height: 900 } });
  context.setDefaultTimeout(60_000);
  if (seen !== undefined) {
    const watch = (page) => {
      page.on("console", (message) => seen.push(`console: ${message.text()}`));
      page.on("pageerror", (error) => seen.push(`error: ${error.stack ?? error.message}`));
    };
    context.on("page", watch);
    context.on("request", (request) => seen.push(`url: ${request.url()}`, `referrer: ${request.headers().referer ?? ""}`));
  }
  return context;
}
