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

async function perform(name: string, argument: never): Promise<unknown> {
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
