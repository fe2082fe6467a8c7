// For the runtimes with a terminal: prints what `run` returns.
import { run } from "./run.js";

console.log(JSON.stringify(await run()));
