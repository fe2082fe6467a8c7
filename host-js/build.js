/**
 * Makes the npm package of what `cargo xtask js` has built: `node build.js FOLDER`.
 *
 * FOLDER/bound holds the module, deflated, and its glue. Written are FOLDER/generated (the module as JavaScript, which the sources
 * in js/ import) and FOLDER/kraube (the package).
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = process.argv[2];
const bound = join(folder, "bound");
const wasm = join(folder, "generated/wasm");
const out = join(folder, "kraube");
const bin = (name) => join(here, "node_modules/.bin", name);

rmSync(join(folder, "generated"), { recursive: true, force: true });
rmSync(out, { recursive: true, force: true });
mkdirSync(wasm, { recursive: true });
mkdirSync(join(out, "dist/wasm"), { recursive: true });

// The module is carried inside JavaScript, deflated: no bundler, server, policy or permission has to know of a second file.
const deflated = readFileSync(join(bound, "kraube.deflated"));
const text = `const packed = "${deflated.toString("base64")}";

export async function bytes() {
  const text = atob(packed);
  const deflated = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) deflated[at] = text.charCodeAt(at);
  const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(inflated).arrayBuffer();
}
`;
writeFileSync(join(wasm, "bytes.js"), text);
writeFileSync(join(wasm, "bytes.d.ts"), "export function bytes(): Promise<ArrayBuffer>;\n");
for (const name of ["kraube.js", "kraube.d.ts"]) cpSync(join(bound, name), join(wasm, name));

cpSync(wasm, join(out, "dist/wasm"), { recursive: true });
execFileSync(bin("tsc"), ["--project", here], { stdio: "inherit" });

// Deno takes the types of a module that is imported by its path from the module itself, unless that says where they are.
for (const folder of ["dist", "dist/wasm"]) {
  const files = readdirSync(join(out, folder));
  for (const file of files.filter((file) => file.endsWith(".js") && files.includes(file.replace(/js$/, "d.ts")))) {
    const path = join(out, folder, file);
    const text = readFileSync(path, "utf8");
    if (!text.startsWith("/* @ts-self-types")) writeFileSync(path, `/* @ts-self-types="./${file.replace(/js$/, "d.ts")}" */\n${text}`);
  }
}

const { devDependencies, scripts, private: _, ...manifest } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
writeFileSync(join(out, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
cpSync(join(here, "README.md"), join(out, "README.md"));
cpSync(join(here, "../LICENSE"), join(out, "LICENSE"));
