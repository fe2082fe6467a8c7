/**
 * kraube for Deno, on the credentials file of the `kraube` command and under its lock ({@link FileStore}): scripts and
 * native processes make one token request together.
 *
 * @module
 */
export * from "./shared.js";
export { FileStore } from "./deno-file.js";
