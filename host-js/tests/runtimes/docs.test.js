// What the documentation shows compiles against the types of the package, and so does a program that names the package by
// its path.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { deno, dist } from "../support/paths.js";
import { run } from "../support/processes.js";

const host = fileURLToPath(new URL("../../", import.meta.url));

test("every example of the README compiles", { timeout: 120_000 }, async (context) => {
  const text = await readFile(join(host, "README.md"), "utf8");
  const folder = await mkdtemp(join(tmpdir(), "kraube-examples-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, "node_modules"));
  await symlink(join(dist, ".."), join(folder, "node_modules/kraube"));
  let count = 0;
  for (const [, code] of text.matchAll(/^```ts\n(.*?)^```/gms)) {
    count += 1;
    // The way that Deno names packages is its own.
    await writeFile(join(folder, `${count}.ts`), `${code.replace('"npm:', '"')}\nexport {};\n`);
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
