// Runs the conformance vectors of the core: the same file in every runtime. `tests/vectors/README.md` says what they are.
import { KraubeError, load } from "../../../target/js/kraube/dist/core.js";
import calls from "../../../tests/vectors/calls.json" with { type: "json" };
import machines from "../../../tests/vectors/machines.json" with { type: "json" };

/** How many entries did what is recorded, and what the others did. */
export async function run() {
  const core = await load();
  const failures = [];
  let passed = 0;
  for (const [entries, judge] of [[machines, machine], [calls, call]]) {
    for (const entry of entries) {
      try {
        judge(core, entry);
        passed += 1;
      } catch (error) {
        failures.push(`${entry.name}: ${error.message}`);
      }
    }
  }
  return { passed, failures };
}

function machine(core, { runs }) {
  let kept;
  for (const [index, { machine, options, now, first, steps, keeps }] of runs.entries()) {
    const run = core[machine](revive(options), now, kept);
    same(run.next, first, `run ${index}, first`);
    for (const [count, step] of steps.entries()) {
      const where = `run ${index}, step ${count}`;
      if ("living" in step) same(run.living(step.now), step.living, `${where}, living`);
      same(run.step(revive(step.input), step.now), step.next, where);
    }
    same(run.keeps, keeps, `run ${index}, keeps`);
    kept = run.keeps ? run : undefined;
  }
}

function call(core, entry) {
  const given = entry.arguments.map((argument) => revive(argument) ?? undefined);
  let returned;
  try {
    returned = core[entry.call](...given);
  } catch (error) {
    if (!(error instanceof KraubeError)) throw error;
    return same({ code: error.code, message: error.message }, entry.throws, "thrown");
  }
  same(returned, entry.returns, "returned");
}

/** `{"base64": ...}` stands for bytes. */
function revive(value) {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value.base64 === "string") return Uint8Array.from(atob(value.base64), (char) => char.charCodeAt(0));
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, revive(member)]));
}

function same(seen, expected, where) {
  const [a, b] = [canonical(seen), canonical(expected)];
  if (a !== b) throw new Error(`${where}: ${a} in place of ${b}`);
}

/** Members in order, without those that are null. */
function canonical(value) {
  return JSON.stringify(value ?? null, (_, member) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    const members = Object.entries(member).filter(([, inner]) => inner !== null && inner !== undefined);
    return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
