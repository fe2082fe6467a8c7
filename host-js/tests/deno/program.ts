// Does what it is told on a credentials file, step by step, and prints what each step came to as a line of JSON.
import { FileStore, KraubeError, TokenSource } from "../../../target/js/kraube/dist/deno.js";

const [file, steps] = [Deno.args[0], JSON.parse(Deno.args[1])];
const store = await FileStore.open(file);
let source = new TokenSource(store, { policy: { rejectFloor: 0 } });
let last = "";

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
    /** How many files this process has open. */
    case "files":
      return [...Deno.readDirSync("/proc/self/fd")].length;
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
    case "install":
      return source.install({ type: "credentials", credentials: argument });
    case "logout":
      return source.logout();
    default:
      throw new Error(name);
  }
}

async function told(work: () => Promise<unknown>) {
  try {
    return { ok: (await work()) ?? null };
  } catch (error) {
    if (!(error instanceof KraubeError)) throw error;
    return { error: error.code, message: `${error.message} ${error.failure?.detail ?? ""}`, hint: error.hint };
  }
}
