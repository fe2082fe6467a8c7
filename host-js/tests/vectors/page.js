// For the browser: the outcome becomes a global of the page.
import { run } from "./run.js";

globalThis.outcome = run();
