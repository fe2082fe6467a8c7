// Deno and native processes on one credentials file, at a server that forgives no replay.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { folder } from "../support/folder.js";
import { deno, kraube } from "../support/paths.js";
import { run } from "../support/processes.js";
import { start } from "../support/server.js";
import { permissions } from "./permissions.js";

const EACH = 8;
const ROTATIONS = 200;

test(`${EACH} Deno and ${EACH} native processes force ${ROTATIONS} rotations and never present a spent token`, { timeout: 120_000 }, async (context) => {
  const server = await start();
  context.after(() => server.stop());
  const place = await folder(context);
  await place.store(await server.login(), { note: "of another program" });
  const worker = fileURLToPath(new URL("worker.ts", import.meta.url));
  const env = { ...place.env, KRAUBE_CLIENT_ID: "kraube-tests" };
  // Who adopts a token has it from somebody else's rotation, so each goes through all of them.
  const share = String(ROTATIONS + 1);
  const results = await Promise.all(
    Array.from({ length: EACH }, () => [
      run(deno, ["run", "--no-prompt", ...permissions(place, server), worker, share], { env }),
      run(kraube, ["demo", "--worker", server.resource, "--reject", share], { env }),
    ]).flat(),
  );
  for (const { status, stdout, stderr } of results) assert.equal(status, 0, stdout + stderr);
  const counters = await server.counters();
  assert.ok(counters.rotations >= ROTATIONS, JSON.stringify(counters));
  assert.deepEqual(
    { replays: counters.replays, requests: counters.refresh_requests, at_once: counters.in_flight_max },
    { replays: 0, requests: counters.rotations, at_once: 1 },
  );
  const { accessToken, note } = await place.read();
  assert.equal((await fetch(server.resource, { headers: { authorization: `Bearer ${accessToken}` } })).status, 200);
  assert.equal(note, "of another program");
  assert.deepEqual(await place.list(), ["credentials.json", "credentials.json.lock"]);
  assert.deepEqual([await place.mode(), await place.mode(place.lock)], ["600", "600"]);
});
