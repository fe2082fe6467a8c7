// Node and Bun: the same program (`program.js`) in each, with the real command and the embedded server.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { folder } from "../support/folder.js";
import { bun, kraube } from "../support/paths.js";
import { run } from "../support/processes.js";
import { start } from "../support/server.js";

const program = fileURLToPath(new URL("program.js", import.meta.url));
let server;
before(async () => (server = await start()));
after(() => server?.stop());

for (const [name, runtime] of Object.entries({ Node: process.execPath, Bun: bun })) {
  describe(name, () => {
    /** Runs one of the scenes of `program.js`: what it returned. */
    async function scene(scene, options, settings) {
      const { status, stdout, stderr } = await run(runtime, [program, scene, JSON.stringify(options)], settings);
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout);
    }

    test("a login in memory is refreshed once for all who ask", { timeout: 60_000 }, async () => {
      const before = await server.counters();
      const { tokens, adopted } = await scene("memory", { credentials: { ...(await server.login()), expiresAt: 1 } });
      assert.deepEqual([new Set(tokens).size, adopted], [1, tokens[0]]);
      assert.equal((await server.counters()).refresh_requests - before.refresh_requests, 1);
    });

    test("a login in memory is there for all who are the first to read it", { timeout: 60_000 }, async () => {
      const { states, none } = await scene("memory_first", { credentials: await server.login() });
      assert.deepEqual(states, ["valid", "valid", "valid", "unreadable", "unreadable"]);
      assert.deepEqual([none.error, none.detail], ["store", "KraubeError: credentials.accessToken must be a string"]);
    });

    test("a rejected token stays rejected when an older one is rejected late", { timeout: 60_000 }, async (context) => {
      const place = await folder(context);
      await place.store(await server.login(), { obtainedAt: 1 });
      const options = { credentials: await server.login(), command: { command: kraube, credentials: place.file } };
      const results = await scene("rejected_late", options, { env: place.env });
      // The command leaves alone what it has refreshed a moment ago.
      assert.deepEqual(results, { own: "another one", command: "unavailable" });
    });

    test("a token from elsewhere can be rejected, whatever was rejected before", { timeout: 60_000 }, async (context) => {
      const place = await folder(context);
      const credentials = await server.login();
      await place.store(credentials);
      const own = { ...(await server.login()), accessToken: credentials.accessToken };
      const options = { credentials: own, command: { command: kraube, credentials: place.file } };
      assert.deepEqual(await scene("rejected_elsewhere", options, { env: place.env }), { own: false, command: false });
    });

    test("what a run brings that began before a login or a logout does not come back after it", { timeout: 60_000 }, async () => {
      const [credentials, other] = [await server.login(), await server.login()];
      assert.deepEqual(await scene("changed_in_mid_run", { credentials, other }), [other.accessToken, "logged_out"]);
    });

    test("a token that is served in mid-run can be rejected", { timeout: 60_000 }, async () => {
      const { served, next } = await scene("rejected_in_mid_run", { credentials: await server.login() });
      assert.equal(served, "of another program");
      assert.notEqual(next, served);
    });

    test("a store of the program's own: two sources share it and its lock", { timeout: 60_000 }, async () => {
      const before = await server.counters();
      const { failures } = await scene("own_store", { credentials: await server.login(), times: 20 });
      assert.deepEqual(failures, []);
      const after = await server.counters();
      // The last one that is rejected is not followed by another.
      assert.ok(after.rotations - before.rotations >= 19);
      assert.equal(after.replays, before.replays);
    });

    test("a store that fails is reported, and spends nothing", { timeout: 60_000 }, async () => {
      const before = await server.counters();
      const { error, detail } = await scene("failing_store", { credentials: { ...(await server.login()), expiresAt: 1 } });
      assert.deepEqual({ error, detail }, { error: "store", detail: "Error: the database is away" });
      assert.equal((await server.counters()).token_requests, before.token_requests);
    });

    test("new tokens that cannot be stored are served, said so, and stored as soon as that works", { timeout: 60_000 }, async () => {
      const options = { credentials: { ...(await server.login()), expiresAt: 1 } };
      const { status, stdout, stderr } = await run(runtime, [program, "unsaved", JSON.stringify(options)]);
      assert.equal(status, 0, stderr);
      const { served, stored } = JSON.parse(stdout);
      assert.equal(stored, served);
      assert.match(stderr, /cannot be stored/);
    });

    test("a login that cannot be stored yet is the one that is served", { timeout: 60_000 }, async () => {
      const [credentials, other] = [await server.login(), await server.login()];
      assert.deepEqual(await scene("unsaved_login", { credentials, other }), { error: "unsaved", next: other.accessToken });
    });

    test("a call that cannot begin, or breaks down, loses neither the new tokens that are not stored yet nor their lock", { timeout: 60_000 }, async () => {
      const before = await server.counters();
      const options = { credentials: { ...(await server.login()), expiresAt: 1 } };
      const { failures, logout, locked, next } = await scene("unsaved_kept", options, { signal: AbortSignal.timeout(30_000) });
      assert.deepEqual([failures, logout, locked], [["misuse", "misuse", "misuse"], "still_stored", true]);
      assert.equal(next.error, "too_soon", "the lock is free again");
      const after = await server.counters();
      assert.deepEqual([after.rotations - before.rotations, after.replays - before.replays], [1, 0]);
    });

    test("whatever a store does when the new tokens are there, they are served and stored", { timeout: 60_000 }, async () => {
      const before = await server.counters();
      const logins = [];
      for (let count = 0; count < 20; count += 1) logins.push({ ...(await server.login()), expiresAt: 1 });
      const { count, failures } = await scene("odd_store", { logins });
      assert.deepEqual(failures, []);
      const after = await server.counters();
      assert.deepEqual([after.refresh_requests - before.refresh_requests, after.replays - before.replays], [count, 0]);
    });

    test("whatever a store reads, the status tells it", { timeout: 60_000 }, async () => {
      assert.deepEqual(await scene("odd_read", {}), ["logged_out", ...Array(5).fill("unreadable")]);
    });

    test("a lock that is none is refused, and spends nothing", { timeout: 60_000 }, async () => {
      const before = await server.counters();
      const results = await scene("odd_lock", { credentials: { ...(await server.login()), expiresAt: 1 } });
      assert.deepEqual(new Set(results), new Set(["no_lock"]), results.join());
      assert.equal((await server.counters()).token_requests, before.token_requests);
    });

    test("the command gives the token, and takes the one that was rejected through standard input", { timeout: 60_000 }, async (context) => {
      const place = await folder(context);
      const login = await server.login();
      await place.store({ ...login, obtainedAt: 1 });
      const options = { command: kraube, credentials: place.file };
      const before = await server.counters();
      const { first, same, second } = await scene("command", options, { env: place.env });
      assert.deepEqual([first, same], [login.accessToken, login.accessToken]);
      assert.notEqual(second, first);
      assert.equal((await place.read()).accessToken, second);
      assert.equal((await server.counters()).rotations - before.rotations, 1);
    });

    test("how long a token shall live is read alike by each source: what is no such time is refused", { timeout: 60_000 }, async (context) => {
      const place = await folder(context);
      const credentials = await server.login();
      await place.store(credentials);
      const options = { credentials, command: { command: kraube, credentials: place.file } };
      const settings = { env: place.env, signal: AbortSignal.timeout(30_000) };
      const { none, absent, longest } = await scene("min_valid", options, settings);
      assert.deepEqual(none, Array(20).fill("misuse"));
      const each = ["ok", "logged_out", "ok", "command_missing"];
      assert.deepEqual([absent, longest], [each, [...each, ...each]]);
    });

    test("what the command says is an error with a code and a hint", { timeout: 60_000 }, async (context) => {
      const place = await folder(context);
      const codes = {
        1: ["command_failed", null],
        4: ["logged_out", "login_required"],
        5: ["refused", "login_required"],
        6: ["in_doubt", "uncertain"],
        7: ["unavailable", "unavailable"],
        8: ["account_changed", "account_changed"],
        9: ["unsaved", "unsaved"],
      };
      const script = async (name, lines) => {
        const command = join(place.path, name);
        await writeFile(command, `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
        return { command };
      };
      const ending = Object.keys(codes).map((status) => script(`ends-with-${status}`, `echo 'error: as it is' >&2\nexit ${status}`));
      const commands = [
        { command: kraube, credentials: place.file },
        await script("silent", "echo not-json-but-a-secret"),
        { command: join(place.path, "missing") },
        // No program, and an argument that none can have.
        { command: place.path },
        { command: kraube, credentials: "a\0b" },
        // A path that looks like an option.
        { command: kraube, credentials: "-x" },
        ...(await Promise.all(ending)),
      ];
      const [absent, unreadable, missing, none, nul, option, ...ended] = await scene("command_fails", { commands }, { env: place.env });
      assert.deepEqual([absent.error, absent.type], ["logged_out", "login_required"]);
      assert.match(absent.hint, /kraube login/);
      assert.equal(option.error, "logged_out");
      assert.equal(unreadable.error, "command_unreadable");
      assert.doesNotMatch(JSON.stringify(unreadable), /secret/);
      assert.deepEqual([missing.error, none.error, nul.error], ["command_missing", "command_not_run", "command_not_run"]);
      const expected = Object.values(codes).map((words) => [...words, "as it is"]);
      assert.deepEqual(ended.map(({ error, type, message }) => [error, type, message]), expected);
    });

    test("a process that may open no more files gets an error, and goes on", { timeout: 60_000 }, async (context) => {
      const place = await folder(context);
      const parameters = ["-c", 'ulimit -n 128; exec "$@"', "sh", runtime, program, "command_starved"];
      const options = JSON.stringify({ command: kraube, credentials: place.file });
      const { status, stdout, stderr } = await run("sh", [...parameters, options], { env: place.env });
      assert.equal(status, 0, stderr);
      const { starved, later } = JSON.parse(stdout);
      assert.deepEqual([starved.error, later.error], ["command_not_run", "logged_out"]);
      assert.match(`${starved.message} ${starved.hint}`, /EMFILE.*open files/);
    });

    test("a redirect is not followed, an endless body is cut, and both are unknown outcomes that change nothing", { timeout: 60_000 }, async () => {
      for (const answer of ["redirect", "endless", "page"]) {
        const { error, asked, elsewhere, tokens } = await scene("hostile", { credentials: await server.login(), answer });
        assert.deepEqual({ error, elsewhere, tokens }, { error: "in_doubt", elsewhere: 0, tokens: "kept" }, answer);
        assert.ok(asked >= 1 && asked <= 3, `${answer}: the same token, at most twice more`);
      }
    });

    test("fetch: the token goes to allowed origins, never on to others, and a 401 is answered with another one", { timeout: 60_000 }, async () => {
      const { headers, resource, retried, streamed, redirects, bodiless, plain } = await scene("fetch", {
        credentials: await server.login(),
        resource: server.resource,
        control: `${server.issuer}/control`,
      });
      assert.deepEqual(headers, { allowed: true, other: false, redirected: false, own: "Basic own" });
      assert.deepEqual([resource, retried, streamed], [200, ["body", "body"], ["stream"]]);
      assert.deepEqual(redirects, [[401, 1], [401, 2]], "who never got the token cannot refuse it");
      assert.deepEqual(bodiless, [[401, 2], [401, 2], [401, 1]]);
      assert.match(plain, /https/);
    });
  });
}
