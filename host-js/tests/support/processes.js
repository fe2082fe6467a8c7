/** Processes of a test: what they print, and how they end. */
import { spawn } from "node:child_process";

/** Runs a program to its end. Its standard input is `input`. */
export function run(program, parameters, { env = {}, input = "", signal, cwd } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, { env: { ...process.env, NO_COLOR: "1", ...env }, signal, cwd });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.stdin.on("error", () => {}).end(input);
    child.on("error", reject).on("close", (status, killed) => resolve({ status, killed, stdout, stderr }));
  });
}
