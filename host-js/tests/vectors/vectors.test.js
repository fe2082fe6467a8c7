// The conformance vectors of the core, unchanged, in each runtime that the package is for.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as chromium from "../support/chromium.js";
import { bun, deno } from "../support/paths.js";
import { run } from "../support/processes.js";

const root = new URL("../../../", import.meta.url);
const program = fileURLToPath(new URL("program.js", import.meta.url));
const vectors = await Promise.all(
  ["machines", "calls"].map(async (name) => JSON.parse(await readFile(new URL(`tests/vectors/${name}.json`, root), "utf8"))),
);
const count = vectors.flat().length;

function judge({ passed, failures }) {
  assert.deepEqual(failures, []);
  assert.equal(passed, count);
}

const terminals = {
  Node: [process.execPath, program],
  // No permission is given: the core needs none.
  Deno: [deno, "run", "--no-prompt", "--no-remote", "--no-config", program],
  Bun: [bun, program],
};
for (const [name, [command, ...args]] of Object.entries(terminals)) {
  test(`${name}: ${count} entries`, { timeout: 120_000 }, async () => {
    const { status, stdout, stderr } = await run(command, args);
    assert.equal(status, 0, stderr);
    judge(JSON.parse(stdout));
  });
}

test(`Chromium: ${count} entries, under a content security policy`, { timeout: 120_000 }, async () => {
  const types = { ".html": "text/html", ".js": "text/javascript", ".json": "application/json" };
  const browser = await chromium.launch();
  try {
    const page = await browser.newPage();
    await page.route("http://127.0.0.1:9/**", async (route) => {
      const { pathname } = new URL(route.request().url());
      const body = await readFile(new URL(`.${pathname}`, root));
      const headers = {
        "content-type": types[extname(pathname)],
        // `connect-src` is for the vectors, which the page imports as JSON.
        "content-security-policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'",
      };
      await route.fulfill({ body, headers });
    });
    const failed = new Promise((_, reject) => page.on("pageerror", reject));
    failed.catch(() => {});
    await page.goto("http://127.0.0.1:9/host-js/tests/vectors/page.html");
    // Not `waitForFunction`, which the policy does not allow.
    const outcome = page.evaluate(async () => {
      while (globalThis.outcome === undefined) await new Promise((resolve) => setTimeout(resolve, 20));
      return globalThis.outcome;
    });
    judge(await Promise.race([outcome, failed]));
  } finally {
    await browser.close();
  }
});
