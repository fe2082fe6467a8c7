/**
 * kraube for browsers: log in ({@link loginWithRedirect}, {@link loginWithPopup}, {@link finishLogin}), and ask a
 * {@link TokenSource} for living tokens.
 *
 * @module
 */
export * from "./shared.js";
export { IndexedDbStore } from "./indexed-db.js";
export { LocalStorageStore } from "./local-storage.js";
export type { LoginOptions } from "./login.js";
export { loginWithPopup } from "./popup.js";
export type { PopupOptions } from "./popup.js";
export { finishLogin, loginWithRedirect } from "./redirect.js";
export type { Finished } from "./redirect.js";
export { WebStore } from "./web-store.js";
