// The archive that is published, unpacked where a package manager puts it, and named `kraube` as users name it.
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { archive, bun, deno, host } from "../support/paths.js";
import { run } from "../support/processes.js";

// Used without any set-up call: the token comes from the memory of the program.
const PROGRAM = `
import * as kraube from "kraube";
const source = new kraube.TokenSource(new kraube.MemoryStore({ accessToken: "living", refreshToken: "r", expiresAt: Date.now() + 3600000 }));
console.log((await source.token()).expose(), ["FileStore", "CommandSource", "IndexedDbStore"].filter((name) => name in kraube).join());
`;

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "kraube-package-"));
  const unpacked = await run("tar", ["-xzf", archive, "-C", folder]);
  assert.equal(unpacked.status, 0, unpacked.stderr);
  await mkdir(join(folder, "node_modules"));
  await cp(join(folder, "package"), join(folder, "node_modules/kraube"), { recursive: true });
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module", dependencies: { kraube: "*" } }));
  await writeFile(join(folder, "program.js"), PROGRAM);
  await writeFile(join(folder, "deno.js"), PROGRAM.replace('"kraube"', '"npm:kraube/deno"'));
});
after(() => rm(folder, { recursive: true, force: true }));

const programs = {
  Node: [process.execPath, ["program.js"], "CommandSource"],
  Bun: [bun, ["program.js"], "CommandSource"],
  // No permission is given, and nothing is fetched.
  Deno: [deno, ["run", "--no-prompt", "--cached-only", "program.js"], "FileStore"],
  "Deno, by an npm: specifier": [deno, ["run", "--no-prompt", "--cached-only", "--node-modules-dir=manual", "deno.js"], "FileStore"],
};
for (const [name, [program, parameters, entry]] of Object.entries(programs)) {
  test(`${name} takes its own entry of the package, and gets a token`, { timeout: 60_000 }, async () => {
    const { status, stdout, stderr } = await run(program, parameters, { cwd: folder });
    assert.equal(status, 0, stderr);
    assert.equal(stdout.trim(), `living ${entry}`);
  });
}

test("each entry can be named, whatever the runtime would choose", { timeout: 60_000 }, async () => {
  const entries = { node: "CommandSource", deno: "FileStore", browser: "IndexedDbStore" };
  const text = `console.log(${Object.entries(entries).map(([entry, name]) => `"${name}" in (await import("kraube/${entry}"))`)});`;
  await writeFile(join(folder, "entries.js"), text);
  for (const [program, ...parameters] of [[process.execPath], [bun], [deno, "run", "--no-prompt", "--cached-only"]]) {
    const { status, stdout, stderr } = await run(program, [...parameters, "entries.js"], { cwd: folder });
    assert.equal(status, 0, stderr);
    assert.equal(stdout.trim(), "true true true", program);
  }
});

test("a bundler for browsers takes the entry for browsers, in one file that runs", { timeout: 60_000 }, async () => {
  const { build } = createRequire(join(host, "package.json"))("esbuild");
  const outfile = join(folder, "bundle.mjs");
  const entryPoints = [join(folder, "program.js")];
  await build({ entryPoints, outfile, bundle: true, format: "esm", platform: "browser", logLevel: "error" });
  const { status, stdout, stderr } = await run(process.execPath, [outfile]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), "living IndexedDbStore");
});
