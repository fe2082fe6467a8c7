/**
 * kraube for Node and Bun, which have no file locks: ask the `kraube` command ({@link CommandSource}), or give a
 * {@link TokenSource} a {@link Store} of your own.
 *
 * @module
 */
export * from "./shared.js";
export { CommandSource } from "./command.js";
export type { CommandOptions } from "./command.js";
