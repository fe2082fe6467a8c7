// Measures the package beside its peers, each pair in turns in this run: `cargo xtask bench js`.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { InMemoryWebStorage, User, UserManager, WebStorageStateStore } from "oidc-client-ts";
import * as oauth from "oauth4webapi";
import * as chromium from "../tests/support/chromium.js";
import { deno } from "../tests/support/paths.js";
import { run } from "../tests/support/processes.js";
import { load } from "../../target/js/kraube/dist/core.js";
import { MemoryStore, TokenSource } from "../../target/js/kraube/dist/node.js";
import { shares } from "./spent.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const built = fileURLToPath(new URL("../../target/js/", import.meta.url));
const HOUR = 3_600_000;
const rows = [];
/** What a page or a process does first. The specifier is a literal: Deno asks for no permission then. */
const first = (specifier, [key, value]) => `(async () => {
  localStorage.setItem(${JSON.stringify(key)}, ${JSON.stringify(value)});
  const begin = performance.now();
  const job = await import(${JSON.stringify(specifier)});
  const token = await job.token({ authority: "https://id.example", client_id: "me", redirect_uri: "https://app.example/" });
  if (token !== "a") throw new Error("another token: " + token);
  return performance.now() - begin;
})()`;
const work = mkdtempSync(join(tmpdir(), "kraube-bench-"));
// As in a project of a user: the package lies in its node_modules.
mkdirSync(join(work, "node_modules"));
symlinkSync(join(built, "kraube"), join(work, "node_modules/kraube"));
cpSync(join(here, "jobs"), join(work, "jobs"), { recursive: true });
try {
  await sizes();
  await spent();
  await living();
  await links();
  await starts();
} finally {
  rmSync(work, { recursive: true });
}
print();

/** What a page downloads for the same job. */
async function sizes() {
  const measured = new Map();
  for (const name of ["kraube", "oauth4webapi", "openid-client", "auth0-spa-js", "oidc-client-ts"]) {
    const text = await bundle(`jobs/${name}.js`);
    const brotli = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
    measured.set(name, { gzip: gzipSync(text, { level: 9 }).length, brotli: brotli.length });
  }
  const own = measured.get("kraube");
  for (const kind of ["gzip", "brotli"]) {
    for (const [name, sizes] of measured) {
      if (name === "kraube") continue;
      row(`bundle, ${kind === "gzip" ? "gzip -9" : "brotli 11"}`, kilo(own[kind]), name, kilo(sizes[kind]), own[kind] / sizes[kind]);
    }
  }
}

/** What of it is the module, and what is JavaScript. */
async function spent() {
  const module = readFileSync(join(built, "bound/kraube.wasm"));
  const plain = gzipSync(module, { level: 9 }).length;
  const empty = { name: "empty", setup: (build) => build.onLoad({ filter: /wasm\/bytes\.js$/ }, () => ({ contents: "export const bytes = () => {};" })) };
  const script = gzipSync(await bundle("jobs/kraube.js", [empty]), { level: 9 }).length;
  row("of that, the module by itself", kilo(plain), "not packed", kilo(module.length), plain / module.length);
  row("of that, JavaScript", kilo(script), "", "", NaN);
  const groups = [
    ["the machines", /^run_|kraube_core\d+(credential|machine)|kraube_core\.\.(credential|machine)/],
    ["JSON", /kraube_core\d+json/],
    ["records, requests, answers, logins", /kraube_core/],
    ["what crosses to JavaScript", /^call_|kraube_js|wbindgen|wasm_bindgen|externref/],
    ["hashes and encodings", /sha2|base64|percent_encoding|form_urlencoded/],
    ["the standard library", /^_ZN\d+(core|alloc|std)|^_R|\$LT\$.*(core|alloc|std)\.\./],
  ];
  for (const [name, share] of shares(readFileSync(join(built, "bound/module.wasm")), groups)) {
    row(`the module: ${name}`, `${Math.round(share * 100)} %`, "", "", NaN);
  }
}

/** A token that lives, asked for again and again. */
async function living() {
  const source = new TokenSource(new MemoryStore({ accessToken: "a".repeat(900), refreshToken: "r", expiresAt: Date.now() + HOUR }));
  await source.token();
  const store = () => new WebStorageStateStore({ store: new InMemoryWebStorage() });
  const settings = { authority: "https://id.example", client_id: "me", redirect_uri: "https://app.example", userStore: store(), stateStore: store() };
  const manager = new UserManager({ ...settings, monitorSession: false, automaticSilentRenew: false });
  const expires_at = Math.floor((Date.now() + HOUR) / 1000);
  await manager.storeUser(new User({ access_token: "a".repeat(900), refresh_token: "r", token_type: "Bearer", profile: {}, expires_at }));
  const [own, theirs] = await inTurns(20_000, () => source.token(), () => manager.getUser());
  await manager.removeUser();
  row("token() that lives", nanos(own), "oidc-client-ts getUser()", nanos(theirs), own / theirs);
}

/** The PKCE pair, the state and the URL to open. */
async function links() {
  const core = await load();
  const provider = { name: "x", issuer: "https://id.example", authorization_endpoint: "https://id.example/a", token_endpoint: "https://id.example/t", client_id: "me", scopes: ["read"] };
  const redirect = { type: "page", uri: "https://app.example/callback" };
  const peer = async () => {
    const url = new URL(provider.authorization_endpoint);
    const parameters = {
      response_type: "code",
      client_id: provider.client_id,
      redirect_uri: redirect.uri,
      scope: "read",
      state: oauth.generateRandomState(),
      code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()),
      code_challenge_method: "S256",
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  };
  const [own, theirs] = await inTurns(2_000, () => core.begin({ provider, redirect }), peer);
  row("PKCE pair and authorization URL", nanos(own), "oauth4webapi", nanos(theirs), own / theirs);
}

/** From the beginning of the import to the first token, stored by an earlier page or process. */
async function starts() {
  const texts = { kraube: await bundle("jobs/kraube.js"), peer: await bundle("jobs/oidc-client-ts.js") };
  const stored = {
    kraube: ["kraube:default", (await load()).record({ accessToken: "a", refreshToken: "r", expiresAt: Date.now() + HOUR })],
    peer: ["oidc.user:https://id.example:me", JSON.stringify({ access_token: "a", refresh_token: "r", token_type: "Bearer", profile: {}, expires_at: Math.floor((Date.now() + HOUR) / 1000) })],
  };
  const [own, theirs] = await inChromium(texts, stored);
  row("import to first token, Chromium", millis(own), "oidc-client-ts", millis(theirs), own / theirs);
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(work, `${name}.js`), text);
  const samples = { kraube: [], peer: [] };
  for (let round = 0; round < 9; round += 1) {
    for (const name of ["kraube", "peer"]) samples[name].push(await inDeno(name, stored[name]));
  }
  const [mine, others] = [median(samples.kraube), median(samples.peer)];
  row("import to first token, Deno", millis(mine), "oidc-client-ts", millis(others), mine / others);
}

async function inChromium(texts, stored) {
  const browser = await chromium.launch();
  const samples = { kraube: [], peer: [] };
  try {
    for (let round = 0; round < 15; round += 1) {
      for (const name of ["kraube", "peer"]) {
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.route("http://127.0.0.1:9/**", (route) => {
          const script = route.request().url().endsWith(".js");
          return route.fulfill({ body: script ? texts[name] : "<!doctype html>", contentType: script ? "text/javascript" : "text/html" });
        });
        await page.goto("http://127.0.0.1:9/");
        samples[name].push(await page.evaluate(first(`/${name}.js`, stored[name])));
        await context.close();
      }
    }
  } finally {
    await browser.close();
  }
  return [median(samples.kraube), median(samples.peer)];
}

async function inDeno(name, stored) {
  const program = join(work, `run-${name}.js`);
  // The peer keeps a timer for the expiry, which would keep the process.
  writeFileSync(program, `console.log(await ${first(`./${name}.js`, stored)}); Deno.exit();`);
  const { status, stdout, stderr } = await run(deno, ["run", "--no-config", "--location", "https://app.example", program], { env: { DENO_DIR: work } });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout);
}

async function bundle(entry, plugins = []) {
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", platform: "browser", write: false, logLevel: "error" };
  const { outputFiles } = await build({ ...options, plugins, nodePaths: [join(here, "../node_modules")], entryPoints: [join(work, entry)] });
  return Buffer.from(outputFiles[0].contents);
}

/** The medians of a call of each, in nanoseconds. */
async function inTurns(calls, own, theirs) {
  const samples = [[], []];
  for (let round = 0; round < 11; round += 1) {
    for (const [index, call] of [own, theirs].entries()) {
      const begin = performance.now();
      for (let count = 0; count < calls; count += 1) await call();
      samples[index].push(((performance.now() - begin) * 1e6) / calls);
    }
  }
  return samples.map(median);
}

function median(samples) {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)];
}

function kilo(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

function nanos(time) {
  return time < 10_000 ? `${time.toFixed(0)} ns` : `${(time / 1000).toFixed(1)} µs`;
}

function millis(time) {
  return `${time.toFixed(1)} ms`;
}

function row(...cells) {
  rows.push(cells);
}

function print() {
  const text = [["what", "kraube", "reference", "", "ratio"], ...rows.map(([a, b, c, d, ratio]) => [a, b, c, d, Number.isNaN(ratio) ? "" : ratio.toFixed(2)])];
  const widths = text[0].map((_, column) => Math.max(...text.map((cells) => cells[column].length)));
  for (const cells of text) console.log(cells.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());
}
