/** What the package gives on every runtime. */
export type {
  Blob,
  BuiltIn,
  Client,
  Exchange,
  Failure,
  Millis,
  NewCredentials,
  Policy,
  Provider,
  Revision,
  Revoked,
  Status,
  StoreError,
  Timestamp,
} from "./core.js";
export { KraubeError } from "./core.js";
export { fetchWithToken } from "./fetch.js";
export type { FetchOptions } from "./fetch.js";
export { MemoryStore } from "./memory.js";
export { TokenSource } from "./source.js";
export type { LoggedOut, NewLogin, SourceOptions } from "./source.js";
export { StoreFailure, revision } from "./store.js";
export type { Guard, Store } from "./store.js";
export { Token } from "./token.js";
export type { TokenOptions, Tokens } from "./token.js";
