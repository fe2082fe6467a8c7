/** Where the parts under test are. Each is checked, so that a missing one says which command makes it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

function made(path, command) {
  if (!existsSync(path)) throw new Error(`${path} is not there; make it with \`${command}\``);
  return path;
}

/** The compiled package: `browser.js`, `deno.js`, `node.js`. */
export const dist = made(`${root}target/js/kraube/dist`, "cargo xtask js");
/** The package as it is published. */
export const archive = made(`${root}target/js/kraube-${version()}.tgz`, "cargo xtask js");
/** The sources of the package. */
export const host = `${root}host-js`;
/** The command. */
export const kraube = made(process.env.KRAUBE_BIN ?? `${root}target/debug/kraube`, "cargo build --package kraube-cli");
export const example = `${root}host-js/examples/browser`;
export const pages = `${root}host-js/tests/pages`;
export const chromium = made(process.env.CHROMIUM ?? "/usr/bin/chromium", "apt-get install -y --no-install-recommends chromium");
/** The program itself: `.bin/deno` is a script that starts it, so a signal would end that script alone. */
export const deno = made(only(`${root}host-js/tests/node_modules/@deno`, "deno"), "npm ci --prefix host-js/tests");
export const bun = made(`${root}host-js/tests/node_modules/.bin/bun`, "npm ci --prefix host-js/tests");
/** Where screenshots go. */
export const pictures = `${root}target/js/pictures`;

/** The file in the one folder of `folder`, which is named after this machine. */
function only(folder, file) {
  const [name = ""] = existsSync(folder) ? readdirSync(folder) : [];
  return `${folder}/${name}/${file}`;
}

function version() {
  return JSON.parse(readFileSync(`${dist}/../package.json`, "utf8")).version;
}
