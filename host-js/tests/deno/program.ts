// Does what it is told on a credentials file, step by step, and prints what each step came to as a line of JSON.
import { FileStore, type Guard, KraubeError, revision, TokenSource } from "../../../target/js/kraube/dist/deno.js";

const [file, steps] = [Deno.args[0], JSON.parse(Deno.args[1])];
const store = await FileStore.open(file);
let source = new TokenSource(store, { policy: { rejectFloor: 0 } });
const beside = new TokenSource(await FileStore.open(file));
let last = "";
const guards: Guard[] = [];
const { rename } = Deno;

for (const step of steps) {
  const [name, argument] = Array.isArray(step) ? step : [step];
  console.log(JSON.stringify(await told(() => perform(name, argument))));
}

// deno-lint-ignore no-explicit-any
async function perform(name: string, argument: any): Promise<unknown> {
  switch (name) {
    case "use":
      source = new TokenSource(store, { policy: argument });
      return null;
    case "token":
      last = (await source.token(argument)).expose();
      return last;
    case "reject":
      source.reject(last);
      return null;
    case "show": {
      // All that a program may do with a token, a source and an error without meaning to show them.
      const token = await source.token().catch((error: Error) => error);
      console.error(token, String(token), `${token}`, JSON.stringify({ token }), Deno.inspect(token, { depth: 9, showHidden: true }));
      console.error(source, store, JSON.stringify([source, store]));
      if (token instanceof Error) console.error(token.stack, token.message, token.cause);
      return null;
    }
    /** Which files of the directory this process has open. The runtime has others, and opens some whenever it likes. */
    case "files": {
      const directory = file.slice(0, file.lastIndexOf("/"));
      return openFiles().filter((path) => path.startsWith(directory));
    }
    /** Which files are made durable by a step. */
    case "durable": {
      const [open, paths] = [Deno.open, [] as (string | URL)[]];
      Deno.open = async (path, options) => {
        const file = await open(path, options);
        const sync = file.sync.bind(file);
        file.sync = () => (paths.push(path), sync());
        return file;
      };
      await perform(argument[0], argument[1]);
      Deno.open = open;
      return paths;
    }
    /** Does the first step, and the others as soon as there is an answer to its request. */
    case "exchange": {
      const [first, ...others] = argument;
      const send = globalThis.fetch;
      globalThis.fetch = async (...parameters) => {
        const answer = await send(...parameters);
        globalThis.fetch = send;
        for (const [name, argument] of others) await perform(name, argument);
        return answer;
      };
      return perform(first, undefined);
    }
    /** Lets a link lead to another file, as `ln -sfn` does it. */
    case "lead":
      await Deno.symlink(argument[1], `${argument[0]}.new`);
      return rename(`${argument[0]}.new`, argument[0]);
    case "remove":
      return Deno.remove(argument);
    case "move":
      return rename(argument[0], argument[1]);
    /** From now on nothing can be stored, or it can again. */
    case "disk":
      Deno.rename = argument === "dead" ? () => Promise.reject(new Error("the disk is dead")) : rename;
      return null;
    /** Waits until the last token is in this file. */
    case "stored":
      while (JSON.parse(await Deno.readTextFile(argument)).accessToken !== last) await new Promise((resolve) => setTimeout(resolve, 10));
      return null;
    /** The token of another source of this program, which has its store for as long. */
    case "beside":
      return (await beside.token()).expose();
    case "lock": {
      const guard = await store.lock(0, argument === undefined ? null : await of(argument));
      return typeof guard === "string" ? guard : (guards.push(guard), "held");
    }
    /** Of the last lock. */
    case "held":
      return guards.at(-1)?.held?.();
    /** The first lock. */
    case "release":
      return guards.shift()?.release();
    case "read": {
      const bytes = await store.read();
      return bytes === null ? null : new TextDecoder().decode(bytes);
    }
    case "write":
      return store.write(await of(argument[0]), argument[1], 4096);
    case "delete":
      return store.delete(await of(argument));
    case "key":
      return store.key;
    /** What a store that is opened now says. */
    case "anew": {
      const anew = await FileStore.open(argument);
      const guard = await anew.lock(0, null);
      if (typeof guard !== "string") guard.release();
      return [anew.key, typeof guard === "string" ? guard : "held"];
    }
    case "install":
      return source.install({ type: "credentials", credentials: argument });
    case "logout":
      return source.logout();
    default:
      throw new Error(name);
  }
}

function openFiles() {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      // It is closed by now.
      return "";
    }
  });
}

function of(text: string) {
  return revision(new TextEncoder().encode(text));
}

async function told(work: () => Promise<unknown>) {
  try {
    return { ok: (await work()) ?? null };
  } catch (error) {
    if (!(error instanceof KraubeError)) throw error;
    return { error: error.code, message: `${error.message} ${error.failure?.detail ?? ""}`, hint: error.hint };
  }
}
