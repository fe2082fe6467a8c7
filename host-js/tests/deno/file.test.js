// The credentials file of Deno, beside the command on the same file.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { link, lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { folder } from "../support/folder.js";
import { deno, kraube } from "../support/paths.js";
import { run } from "../support/processes.js";
import { start } from "../support/server.js";
import { permissions } from "./permissions.js";

const program = fileURLToPath(new URL("program.ts", import.meta.url));
let server;
before(async () => (server = await start()));
after(() => server?.stop());

/** Runs `program.ts` with these steps: what each came to. */
async function steps(place, steps, { allow = permissions(place, server), file = place.file, shown = [], limit = ":" } = {}) {
  const parameters = ["run", "--no-prompt", ...allow, program, file, JSON.stringify(steps)];
  const { status, stdout, stderr } = await run("sh", ["-c", `${limit}; exec "$@"`, "sh", deno, ...parameters], { signal: AbortSignal.timeout(60_000) });
  assert.equal(status, 0, stderr);
  shown.push(stderr);
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

/** What each came to, without the words. */
function codes(results) {
  return results.map(({ ok, error }) => error ?? ok);
}

async function status(place) {
  return JSON.parse((await run(kraube, ["status", "--json", "--credentials", place.file])).stdout);
}

test("a living token is served, and nothing is created beside the file", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const login = await server.login();
  await place.store(login);
  assert.deepEqual(await steps(place, ["token"]), [{ ok: login.accessToken }]);
  assert.deepEqual(await place.list(), ["credentials.json"]);
});

test("Deno refreshes, the command adopts, and the other way round", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  await place.store({ ...(await server.login()), expiresAt: 1 }, { other: { kept: [1, "ü"] } });
  const before = await server.counters();
  const [{ ok: first }] = await steps(place, ["token"]);
  const command = await run(kraube, ["token", "--credentials", place.file]);
  assert.equal(command.stdout.trim(), first);
  const rejected = await run(kraube, ["token", "--rejected", "--credentials", place.file], { input: first });
  assert.match(rejected.stderr + rejected.stdout, /a moment ago/, "the same floor on both hosts");
  const [, , { ok: second }] = await steps(place, ["token", "reject", "token"]);
  assert.notEqual(second, first);
  assert.equal((await run(kraube, ["token", "--credentials", place.file])).stdout.trim(), second);
  assert.equal((await server.counters()).rotations - before.rotations, 2);
  assert.deepEqual((await place.read()).other, { kept: [1, "ü"] });
  assert.equal((await status(place)).state, "valid");
});

test("a login that a program stores is one that the command uses, and a logout ends it for both", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const login = await server.login();
  await steps(place, [["install", login]]);
  assert.equal(await place.mode(), "600");
  assert.equal((await run(kraube, ["token", "--credentials", place.file])).stdout.trim(), login.accessToken);
  const ended = codes(await steps(place, ["logout", "token"]));
  assert.deepEqual(ended, [{ type: "deleted", revoked: { type: "yes" } }, "logged_out"]);
  assert.deepEqual(await place.list(), ["credentials.json.lock"]);
  assert.equal((await status(place)).state, "logged_out");
});

test("who waits for a lock that the command's own lock program holds gets the living token, and an error without one", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const login = await server.login();
  await place.store(login);
  const holder = spawn("flock", [place.lock, "sh", "-c", "echo held; read line"], { stdio: ["pipe", "pipe", "inherit"] });
  context.after(() => holder.kill());
  await once(holder.stdout, "data");
  const before = await server.counters();
  const quick = { deadline: 300, patience: 100, rejectFloor: 0 };
  const waited = codes(await steps(place, [["use", quick], ["token", { minValid: 7_200_000 }], "reject", "token"]));
  assert.deepEqual(waited, [null, login.accessToken, null, "busy"]);
  assert.equal((await server.counters()).refresh_requests, before.refresh_requests);
  holder.stdin.end();
  await once(holder, "exit");
  const [, , , { ok }] = await steps(place, [["use", quick], "token", "reject", "token"]);
  assert.notEqual(ok, login.accessToken);
});

test("a process that is killed in mid-refresh leaves a mark, and the command recovers what it had spent", { timeout: 120_000 }, async (context) => {
  await server.set({ grace: 60_000, latency: 60_000 });
  const place = await folder(context);
  await place.store({ ...(await server.login()), expiresAt: 1 });
  const before = await server.counters();
  context.after(() => server.set({ grace: null, latency: 0 }));
  const child = spawn(deno, ["run", "--no-prompt", ...permissions(place, server), program, place.file, '["token"]']);
  await server.until(({ rotations }) => rotations > before.rotations);
  child.kill("SIGKILL");
  await once(child, "exit");
  await server.set({ latency: 0 });
  assert.equal((await status(place)).state, "in_doubt");
  const { stdout, stderr } = await run(kraube, ["token", "--credentials", place.file]);
  assert.notEqual(stdout.trim(), "", stderr);
  assert.equal((await server.counters()).grace_retries - before.grace_retries, 1);
  assert.equal((await status(place)).state, "valid");
  assert.deepEqual(await place.list(), ["credentials.json", "credentials.json.lock"]);
});

test("a symbolic link survives, and the lock is beside its target", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const real = join(place.path, "real");
  await mkdir(real);
  await place.store({ ...(await server.login()), expiresAt: 1 });
  const target = join(real, "login.json");
  await writeFile(target, JSON.stringify(await place.read()), { mode: 0o644 });
  await rm(place.file);
  await symlink("real/login.json", place.file);
  const [{ ok }] = await steps(place, ["token"]);
  assert.equal(await readlink(place.file), "real/login.json");
  assert.equal((await place.read()).accessToken, ok);
  assert.equal(await place.mode(target), "600", "what was wider is not any more");
  assert.ok((await lstat(`${target}.lock`)).isFile());
});

test("a link that is switched under the lock counts when the lock is released", { timeout: 120_000 }, async (context) => {
  const { path, file } = await folder(context);
  const [other, switched] = [join(path, "other.json"), join(path, "link.json")];
  await writeFile(file, "one");
  await writeFile(other, "other");
  await symlink(file, switched);
  const all = { file: switched, allow: ["--allow-all"] };
  const results = await steps({}, ["lock", "held", ["write", ["one", "mark"]], ["lead", [switched, other]], "read", "held", "key", ["write", ["mark", "commit"]], ["anew", switched], ["anew", file], "lock", ["delete", "commit"]], all);
  // Whoever comes now goes where the link leads, and is not kept by this lock.
  const anew = [[other, "held"], [file, "timed_out"]];
  assert.deepEqual(codes(results), ["held", true, "ok", null, "mark", false, file, "ok", ...anew, "timed_out", "ok"]);
  assert.deepEqual([await readFile(other, "utf8"), await readlink(switched)], ["other", other]);
  assert.deepEqual((await readdir(path)).filter((name) => !name.endsWith(".lock")).sort(), ["link.json", "other.json"]);

  await writeFile(file, "one");
  await rm(switched);
  await symlink(file, switched);
  // The lock file may be deleted, and a second lock had: the end of the first does not end it.
  const twice = ["lock", ["remove", `${file}.lock`], "lock", "release", ["lead", [switched, other]], "read", "key", ["lock", "one"]];
  const after = [...twice, "release", "read", "key", ["write", ["other", "two"]], "lock", "held"];
  const circle = ["release", ["lead", [switched, switched]], "key"];
  const freed = [null, "other", other, "ok", "held", true, null, null, other];
  assert.deepEqual(codes(await steps({}, [...after, ...circle], all)), ["held", null, "held", null, null, "one", file, "timed_out", ...freed]);
  assert.deepEqual([await readFile(file, "utf8"), await readFile(other, "utf8")], ["one", "two"]);

  // What was locked counts, not where the link led when somebody asked before.
  await rm(switched);
  await symlink(file, switched);
  const late = ["key", ["lead", [switched, other]], "lock", ["lead", [switched, file]], "key"];
  assert.deepEqual(codes(await steps({}, late, all)), [file, null, "held", null, other]);

  const dangling = join(path, "dangling.json");
  await symlink("new/login.json", dangling);
  assert.deepEqual(codes(await steps({}, ["key"], { ...all, file: dangling })), [join(path, "new/login.json")]);
});

test("a file that is moved under the lock is found behind its link", { timeout: 120_000 }, async (context) => {
  const { path, file } = await folder(context);
  const [moved, again, switched] = ["moved", "again", "link"].map((name) => join(path, `${name}.json`));
  await writeFile(file, "one");
  await symlink(file, switched);
  const all = { allow: ["--allow-all"] };
  const move = ["lock", ["move", [file, moved]], ["lead", [file, moved]], "key", ["write", ["one", "two"]]];
  assert.deepEqual(codes(await steps({}, move, { ...all, file })), ["held", null, null, file, "ok"]);
  assert.deepEqual([await readFile(moved, "utf8"), await readlink(file)], ["two", moved]);
  const follow = ["lock", ["move", [moved, again]], ["lead", [switched, again]], "read", ["write", ["two", "three"]]];
  assert.deepEqual(codes(await steps({}, follow, { ...all, file: switched })), ["held", null, null, "two", "ok"]);
  assert.equal(await readFile(again, "utf8"), "three");
});

test("a link that is switched during the exchange loses nothing, whether or not the new tokens can be stored at once", { timeout: 120_000 }, async (context) => {
  for (const disk of ["alive", "dead"]) {
    const place = await folder(context);
    const [other, switched] = [join(place.path, "other.json"), join(place.path, "link.json")];
    const login = await server.login();
    await place.store(login);
    await rename(place.file, other);
    await place.store({ ...(await server.login()), expiresAt: 1 });
    await symlink(place.file, switched);
    const before = await server.counters();
    const exchange = ["exchange", ["token", ["lead", [switched, other]], ["disk", disk]]];
    const back = [["disk", "alive"], ["stored", place.file]];
    const results = codes(await steps({}, [exchange, "beside", ...back, "reject", "token"], { file: switched, allow: ["--allow-all"] }));
    const { accessToken, kraube } = await place.read();
    assert.deepEqual([results[0], kraube.redeeming], [accessToken, undefined]);
    // From now on the link counts.
    assert.deepEqual(results.slice(1), [login.accessToken, null, null, null, login.accessToken]);
    const { refresh_requests, replays } = await server.counters();
    assert.deepEqual([refresh_requests, replays], [before.refresh_requests + 1, before.replays]);
  }
});

test("what can be neither locked nor replaced is refused before anything is sent, and a living token is served", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const login = await server.login();
  await place.store(login);
  await link(place.file, join(place.path, "second-name"));
  const before = await server.counters();
  const results = await steps(place, ["token", "reject", "token"]);
  assert.deepEqual(codes(results), [login.accessToken, null, "no_lock"]);
  assert.match(results[2].message, /hard link/);
  assert.equal((await server.counters()).token_requests, before.token_requests);
});

test("a logout does not call a file deleted whose other name keeps the tokens", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const login = await server.login();
  await place.store(login);
  const other = join(place.path, "second-name");
  await link(place.file, other);
  const [{ ok }] = await steps(place, ["logout"]);
  assert.deepEqual([ok.type, ok.error?.code], ["still_stored", "store_irreplaceable"], JSON.stringify(ok));
  assert.match(ok.error.detail, /hard link/);
  assert.equal((await place.read()).refreshToken, login.refreshToken);
  await rm(other);
  assert.equal((await steps(place, ["logout"]))[0].ok.type, "deleted");
  assert.deepEqual(await place.list(), ["credentials.json.lock"]);
});

test("a directory is no file of credentials, and nobody is told to remove it", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const [{ error, message }] = await steps(place, ["token"], { file: place.path, allow: ["--allow-all"] });
  assert.equal(error, "store");
  assert.match(message, /is a directory; give the path of a file/);
});

test("a permission that is missing is named", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  await place.store({ ...(await server.login()), expiresAt: 1 });
  const all = permissions(place, server);
  const without = (name) => all.filter((flag) => !flag.startsWith(`--allow-${name}`));
  const before = await server.counters();
  for (const name of ["read", "write", "sys"]) {
    const [{ message }] = await steps(place, ["token"], { allow: without(name) });
    assert.match(message ?? "", /--allow-read and --allow-write .*--allow-sys=uid/, name);
  }
  const [{ error, message }] = await steps(place, ["token"], { allow: without("net") });
  assert.equal(error, "unreachable", "nothing was sent, and that is known");
  assert.match(message, /--allow-net/);
  assert.equal((await server.counters()).token_requests, before.token_requests);
  assert.equal((await status(place)).state, "needs_refresh");
});

test("what a linked directory leads to has to be allowed too, and that is said", { timeout: 120_000 }, async (context) => {
  const [place, elsewhere] = [await folder(context), await folder(context)];
  await elsewhere.store({ ...(await server.login()), expiresAt: 1 });
  await symlink(elsewhere.path, join(place.path, "link"));
  const [file, allow] = [join(place.path, "link/credentials.json"), permissions(place, server)];
  const [{ error, message }] = await steps(place, ["token"], { file, allow });
  assert.equal(error, "store");
  assert.match(message, /--allow-read and --allow-write .*links lead to/);
  const both = allow.map((flag) => flag.replace(/^(--allow-(read|write)=.*)/, `$1,${elsewhere.path}`));
  assert.deepEqual(codes(await steps(place, ["token"], { file, allow: both })), [(await elsewhere.read()).accessToken]);
});

test("no secret is in what a program shows of a token, a source or an error", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const login = await server.login();
  await place.store(login);
  const shown = [];
  await steps(place, ["show", "token", "reject", "show"], { shown });
  const { accessToken, refreshToken } = await place.read();
  // Nobody listens there: what the runtime says of that is in the error.
  const nowhere = { ...login, refreshToken, accessToken, expiresAt: 1, client: { ...login.client, tokenEndpoint: "http://127.0.0.1:9/token" } };
  await place.store(nowhere);
  await steps(place, ["show"], { shown, allow: [...permissions(place, server), "--allow-net=127.0.0.1:9"] });
  assert.match(shown.join(), /Token.*KraubeError/s, "both were shown");
  for (const secret of [login.accessToken, login.refreshToken, accessToken, refreshToken]) {
    assert.ok(secret.length > 20 && !shown.join().includes(secret));
  }
});

test("a file in another directory's care: made with its directories, for nobody else, and durably", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const [above, directory] = [join(place.path, "new"), join(place.path, "new", "deep")];
  const file = join(directory, "credentials.json");
  const [{ ok }] = await steps(place, [["durable", ["install", await server.login()]]], { file });
  assert.equal(await place.mode(above), "700");
  assert.equal(await place.mode(file), "600");
  assert.deepEqual(ok.filter((path) => !path.includes("credentials")), [place.path, above, directory]);
});

test("a directory is made with the permission for it alone, and one above it that is not allowed is named", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  const install = [["install", await server.login()]];
  const at = (...names) => {
    const path = join(place.path, ...names);
    return { file: join(path, "credentials.json"), allow: permissions({ path }, server) };
  };
  assert.deepEqual(codes(await steps(place, install, at("new"))), [null]);
  assert.equal(await place.mode(join(place.path, "new")), "700");
  const [{ message }] = await steps(place, install, at("other", "deep"));
  assert.match(message ?? "", /create the directory \S+other: .*--allow-read and --allow-write for it/);
});

test("a disk that is full leaves no file open", { timeout: 120_000 }, async (context) => {
  const place = await folder(context);
  await place.store({ ...(await server.login()), expiresAt: 1 });
  const before = await server.counters();
  // No file may grow: to a program it is the same.
  const full = { allow: ["--allow-all"], limit: 'trap "" XFSZ; ulimit -f 1' };
  const results = await steps(place, [...Array.from({ length: 8 }, () => "token"), "files"], full);
  assert.deepEqual(codes(results), [...Array.from({ length: 8 }, () => "store"), []]);
  assert.match(results[0].message, /cannot write/);
  assert.equal((await server.counters()).token_requests, before.token_requests);
});
