/** Tokens from the `kraube` command, for runtimes that cannot take the lock of the credentials file themselves. */
import { spawn } from "node:child_process";
import type { Core, Failure, Ready } from "./core.js";
import { KraubeError, load } from "./core.js";
import type { Flight } from "./flight.js";
import { Newest } from "./newest.js";
import type { Token, TokenOptions, Tokens } from "./token.js";

/** Which command, and which login. */
export interface CommandOptions {
  /** The command: a path, or a name that is looked for in `PATH`. `kraube` by default. */
  command?: string;
  /** The path of the credentials; by default the command decides. */
  credentials?: string;
}

/**
 * Asks the `kraube` command (`kraube token`), which shares one login with every process of the machine. A token that has
 * more than the usual minute left is kept in memory, and callers who ask at the same time share one process. Of its tokens it
 * knows the expiry and the scope: `login`, `obtainedAt` and `stale` are `null`, and `via` is `"store"`.
 *
 * Its errors have what the exit code of the command tells: whatever a token is unavailable for, the code is `unavailable`,
 * the reason is in the message alone, and when to try again is not known. Where no such exit code came the code is
 * `command_missing`, `command_not_run`, `command_failed` or `command_unreadable`, and there is no `failure`.
 */
export class CommandSource implements Tokens {
  readonly #command: string;
  readonly #arguments: string[];
  #core: Core | undefined;
  readonly #newest = new Newest(
    (token, minValid) => this.#core?.isFresh(token, minValid),
    (flight) => this.#ask(flight),
  );

  constructor({ command = "kraube", credentials }: CommandOptions = {}) {
    this.#command = command;
    this.#arguments = credentials === undefined ? [] : [`--credentials=${credentials}`];
  }

  token(options?: TokenOptions): Promise<Token> {
    return this.#newest.token(options);
  }

  reject(token: Token | string): void {
    this.#newest.reject(token);
  }

  async #ask({ minValid, rejected }: Flight): Promise<Ready> {
    this.#core ??= await load();
    const asked = minValid > 0 ? ["--min-valid", String(Math.ceil(minValid / 1000))] : [];
    const again = rejected === null ? [] : ["--rejected"];
    return read(await run(this.#command, ["token", "--format", "json", ...this.#arguments, ...asked, ...again], rejected));
  }
}

/** Runs the command. The rejected token goes through standard input, where no other user sees it. */
function run(command: string, parameters: string[], input: string | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = start(command, parameters);
    child.on("error", (error: Error) => reject(notRun(command, error)));
    const output: { out: string; error: string } = { out: "", error: "" };
    // At the limit of open files a child is returned that has no streams.
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.out += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.error += text));
    // It may end without having read it.
    child.stdin?.on("error", nothing).end(input ?? "");
    child.on("close", (status: number | null) => {
      if (status === 0) resolve(output.out);
      else reject(failure(status, output.error));
    });
  });
}

function start(command: string, parameters: string[]) {
  try {
    return spawn(command, parameters, { stdio: ["pipe", "pipe", "pipe"], windowsHide: true });
  } catch (error) {
    throw notRun(command, error);
  }
}

/** Nothing was run. */
function notRun(command: string, error: unknown): KraubeError {
  const { code, message } = error as Error & { code?: string };
  const missing = code === "ENOENT";
  return new KraubeError({
    code: missing ? "command_missing" : "command_not_run",
    message: `the command ${command} cannot be run: ${message}`,
    hint: missing
      ? "install kraube, or say where it is with `command`"
      : "check that this user may run it, and that the limits of open files and processes leave room for it",
  });
}

/** The exit codes of the command that say what a caller may do next, by the name that is as near as they tell. */
const CODES: Record<number, { code: string; type: Failure["type"] }> = {
  4: { code: "logged_out", type: "login_required" },
  5: { code: "refused", type: "login_required" },
  6: { code: "in_doubt", type: "uncertain" },
  7: { code: "unavailable", type: "unavailable" },
  8: { code: "account_changed", type: "account_changed" },
  9: { code: "unsaved", type: "unsaved" },
};

/** What the command said, which never holds a secret. */
function failure(status: number | null, text: string): KraubeError {
  const line = (mark: string) => {
    const found = text.split("\n").find((line) => line.startsWith(mark));
    return found === undefined ? null : found.slice(mark.length).trim();
  };
  const message = line("error:") ?? `the kraube command ended with ${status ?? "a signal"}`;
  const words = { message, hint: line("hint:") };
  const known = CODES[status ?? -1];
  if (known === undefined) return new KraubeError({ code: "command_failed", ...words });
  return new KraubeError({ ...known, ...words, detail: null, retryAt: null, login: null });
}

function read(output: string): Ready {
  const { accessToken, expiresAt, scope } = parse(output);
  if (typeof accessToken !== "string" || typeof expiresAt !== "number") throw unreadable();
  const known = { accessToken, expiresAt, scope: typeof scope === "string" ? scope : null };
  return { ...known, obtainedAt: null, login: null, short: false, stale: null, via: "store" };
}

function parse(output: string): { accessToken?: unknown; expiresAt?: unknown; scope?: unknown } {
  try {
    return (JSON.parse(output) ?? {}) as object;
  } catch {
    // The parser's own message quotes the text.
    throw unreadable();
  }
}

function unreadable(): KraubeError {
  return new KraubeError({
    code: "command_unreadable",
    message: "the kraube command printed no token",
    hint: "check that the command is kraube, and its version",
  });
}

function nothing(): undefined {
  return undefined;
}
