// What the documentation shows compiles against the types of the package, and so does a program that names the package by
// its path.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { deno, dist } from "../support/paths.js";
import { run } from "../support/processes.js";

const host = fileURLToPath(new URL("../../", import.meta.url));

test("every example of the README compiles", { timeout: 120_000 }, async (context) => {
  const text = await readFile(join(host, "README.md"), "utf8");
  const folder = await mkdtemp(join(dist, "../examples-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  // Which entry a section is about: a bundler or runtime chooses it by the conditions in `package.json`.
  const entries = { Deno: "deno", Node: "node" };
  let count = 0;
  for (const section of text.split(/^## /m)) {
    const entry = entries[section.split(/\W/)[0]] ?? "browser";
    for (const [, code] of section.matchAll(/^```ts\n(.*?)^```/gms)) {
      count += 1;
      const local = code.replace(/from "(npm:)?kraube"/, `from "../dist/${entry}.js"`);
      await writeFile(join(folder, `${entry}${count}.ts`), `${local}\nexport {};\n`);
    }
  }
  assert.ok(count >= 4);
  const options = { target: "ES2022", module: "ES2022", moduleResolution: "bundler", strict: true, noEmit: true, types: [], lib: ["ES2022", "DOM", "DOM.Iterable"] };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
  const { status, stdout } = await run(join(host, "node_modules/.bin/tsc"), ["--project", folder]);
  assert.equal(status, 0, stdout);
});

test("Deno finds the types of a package that is named by its path", { timeout: 120_000 }, async () => {
  const programs = ["program.ts", "worker.ts"].map((name) => join(host, "tests/deno", name));
  const { status, stderr } = await run(deno, ["check", "--no-config", ...programs]);
  assert.equal(status, 0, stderr);
});
