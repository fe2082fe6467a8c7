/**
 * The core as JavaScript sees it: every decision is made in WebAssembly, and this file is the whole way there. It holds
 * the types of what crosses and the loading of the module, and no rule about OAuth.
 *
 * Names of members are in camelCase; values that name a case are in snake_case and stable. Times are in milliseconds:
 * a {@link Timestamp} since the Unix epoch, a {@link Millis} as a span. Absent members and `null` mean the same.
 */
import { bytes } from "./wasm/bytes.js";
import init, { call, fresh, margin, revision, Run as Wasm } from "./wasm/kraube.js";

/** A span of time in milliseconds. */
export type Millis = number;

/** A moment of wall-clock time in milliseconds since the Unix epoch, as `Date.now()` gives it. */
export type Timestamp = number;

/** The SHA-256 of stored bytes in lower-case hexadecimal digits; {@link Core.revision} computes it. */
export type Revision = string;

/** The two clocks of the host, read together. */
export interface Now {
  /** Wall-clock time: `Date.now()`. */
  wall: Timestamp;
  /** Time on a clock that never goes back: `performance.now()`. */
  monotonic: Millis;
}

/** Both clocks of this program. */
export function now(): Now {
  return { wall: Date.now(), monotonic: performance.now() };
}

/** What the host shall do now. Exactly one action is outstanding at a time. */
export type Action =
  /**
   * Take the exclusive lock and keep it until the run is done. `wait`: for how long at most; zero is one try. `seen`:
   * while waiting, leave with `changed` as soon as the stored bytes have another revision; `null`: only the lock counts.
   */
  | { type: "lock"; wait: Millis; seen: Revision | null }
  /** Read the stored bytes, without judging them. */
  | { type: "read" }
  /**
   * Perform one HTTP exchange, without redirects and retries. `holds`: right before the request leaves, check that the
   * lock is still held and the stored bytes have this revision; otherwise answer `lock_lost` and send nothing.
   */
  | { type: "send"; request: Request; holds: Revision | null }
  /**
   * Replace the stored bytes: durably, atomically, and only if they still are what `replaces` says (`null`: nothing may
   * be stored). `reserve`: then set this many bytes aside for the next write, where the store can run full.
   */
  | { type: "write"; replaces: Revision | null; blob: string; reserve: number }
  /** Remove the stored bytes, if they still have this revision. */
  | { type: "delete"; replaces: Revision }
  /** Let this much time pass. The lock may be held. */
  | { type: "wait"; time: Millis };

/** What the host did, in answer to the outstanding {@link Action}. */
export type Input =
  /** Answers `lock`. `held` also where it was held already, with an unsaved rotation. */
  | { type: "locked"; locked: "held" | "changed" | "timed_out" }
  | { type: "locked"; locked: "unsupported"; error: StoreError }
  /** Answers `read`; `null` where nothing is stored. */
  | { type: "read"; blob: Blob | null }
  | { type: "read"; error: StoreError }
  /** Answers `send`. */
  | { type: "replied"; response: Response }
  | { type: "replied"; error: SendError }
  /** Answers `write`. */
  | { type: "wrote"; wrote: "ok" | "conflict" }
  | { type: "wrote"; wrote: "failed"; error: StoreError }
  /** Answers `delete`. */
  | { type: "deleted"; deleted: "ok" | "conflict" }
  | { type: "deleted"; deleted: "failed"; error: StoreError }
  /** Answers `wait`. */
  | { type: "woke" };

/** Stored bytes. A string stands for its bytes in UTF-8. They hold secrets. */
export type Blob = string | Uint8Array;

/** The store could not do it. */
export interface StoreError {
  /** What kind of failure. */
  code:
    | "store_denied"
    | "store_not_ours"
    | "store_full"
    | "store_read_only"
    | "store_irreplaceable"
    | "store_too_large"
    | "store_io";
  /** For people: what the system said. Never holds a secret. */
  detail: string;
}

/** One request, always a `POST`. */
export interface Request {
  /** Where to. */
  url: string;
  /** The `Content-Type` header. */
  contentType: string;
  /** The `Accept` header. */
  accept: string;
  /** The body. It holds secrets. */
  body: string;
}

/** What came back. */
export interface Response {
  /** The status code. */
  status: number;
  /** The `Content-Type` header, where there is one. */
  contentType?: string | null;
  /** The `Retry-After` header, where there is one. */
  retryAfter?: string | null;
  /** The body, of at most 1 MiB and a byte; a longer one is unreadable, so the host may stop there. */
  body: Blob;
}

/** No answer was had. */
export interface SendError {
  /**
   * `not_sent`: no byte of the request left this machine, for certain. `maybe_sent`: it left, or may have left.
   * `timed_out`: the same, and it may still be travelling. `lock_lost`: the check of `holds` failed, nothing was sent.
   */
  code: "not_sent" | "maybe_sent" | "timed_out" | "lock_lost";
  /** For people: what the system said. Never holds a secret. */
  detail: string;
}

/** A machine's next action, or its outcome. */
export type Step<Outcome> = { action: Action } | { done: Outcome };

/**
 * One run of a machine. Perform `next.action`, give {@link step} what came of it, and go on until there is `next.done`.
 * The lock that was taken for a run is released when it is done, unless it {@link keeps} something.
 */
export interface Run<Outcome> {
  /** What is to be done now. */
  readonly next: Step<Outcome>;
  /**
   * Takes the answer to the outstanding action.
   *
   * @param now read after the action was performed; by default, now.
   * @throws {KraubeError} `misuse`: the input is malformed, or the run is done. A malformed input changes nothing.
   */
  step(input: Input, now?: Now): Step<Outcome>;
  /**
   * The token that was read last, while it is alive and was not rejected: for callers whose patience is over while the
   * run goes on. `null` in the runs of other machines.
   */
  living(now?: Now): Ready | null;
  /**
   * Whether the run is done and holds new tokens that are stored nowhere. The host keeps the run **and the lock**, gives
   * the run as `kept` to the next run on the same store, and says so before the program ends.
   */
  readonly keeps: boolean;
}

/** The figures of the machines. Each has its default in the core; tests set them to small values. */
export interface Policy {
  /** Access tokens are refreshed this long before they expire. 60 s. */
  margin?: Millis;
  /** One run takes no longer waits than this in all. 60 s. */
  deadline?: Millis;
  /** How long a caller who has a living token waits for a fresher one. 2 s. */
  patience?: Millis;
  /** How long after the lock was had a doubted token is left alone. 2 s. */
  settle?: Millis;
  /** The pause before an unreadable read is repeated. 50 ms. */
  tornPause?: Millis;
  /** How often it is repeated before it is believed. 3. */
  tornTries?: number;
  /** How often a run begins anew under the lock when others interfere. 3. */
  returns?: number;
  /** A rejected token that is still fresh and younger than this is not refreshed. 30 s. */
  rejectFloor?: Millis;
  /** How often the same token is sent again after an answer that tells nothing. 2. */
  resends?: number;
  /** The pause before it is sent again after a time-out. 2 s. */
  resendPause?: Millis;
  /** The last of them leaves within this time of the first such answer. 5 s. */
  resendWindow?: Millis;
  /** The pause before a failed write of new tokens is repeated. 50 ms. */
  savePause?: Millis;
  /** For how long it is repeated. 2 s. */
  saveTime?: Millis;
  /** When to try again after the server could not be reached at all. 2 s. */
  unreachablePause?: Millis;
  /** When to try again after the first failed answer; doubled with each further one. 1 s. */
  backoffFirst?: Millis;
  /** The longest of these. 5 min. */
  backoffMax?: Millis;
}

/** What every machine may be given. */
export interface Common {
  /** The figures; what is absent has its default. */
  policy?: Policy;
}

/** Give me a token that lives. */
export interface ObtainOptions extends Common {
  /** The token shall live at least this long. */
  minValid?: Millis;
  /** A resource answered 401 to this access token: it does not count, however long it lives. */
  rejected?: string | null;
  /** The login that counts as the same one (`login: null`: one without an id); by default, the one that is read first. */
  baseline?: { login: string | null } | null;
  /** Where to refresh a record that does not say so itself. */
  defaultClient?: Client | null;
  /** Identifies the run: 16 hexadecimal digits; random by default. */
  run?: string;
}

/** Store a new login. */
export interface InstallOptions extends Common {
  /** A validated code that is to be spent, or tokens that the caller has. */
  new: { type: "code"; exchange: Exchange } | { type: "credentials"; credentials: NewCredentials };
  /** The id of the login; random by default. */
  login?: string;
}

/** Revoke and delete a login. */
export interface ForgetOptions extends Common {
  /** Whether the server shall be told, where it can be. `true` by default. */
  revoke?: boolean;
}

/** How {@link Core.obtain} ends. */
export type Outcome =
  | { type: "ready"; ready: Ready }
  /** New tokens were received and cannot be stored: see {@link Run.keeps}. `ready` may be used meanwhile. */
  | { type: "unsaved"; ready: Ready | null; error: Failure }
  | { type: "failed"; error: Failure };

/** A living access token. */
export interface Ready {
  /** The token. */
  accessToken: string;
  /** When it expires. */
  expiresAt: Timestamp;
  /** When it was obtained, where that is known. */
  obtainedAt: Timestamp | null;
  /** The login that it belongs to; `null` where another program wrote the record. */
  login: string | null;
  /** The granted scope, where the server named it. */
  scope: string | null;
  /** Less than the asked `minValid` is left. */
  short: boolean;
  /** A refresh was due and did not happen, for this reason: the token lives, but nothing better is to be had now. */
  stale: Failure | null;
  /** It was stored, or this run redeemed the refresh token for it. */
  via: "store" | "exchange";
}

/** Why something is not to be had, in the words of the core. */
export interface Failure {
  /** What the caller may do next. */
  type:
    /** Only a new login helps. */
    | "login_required"
    /** Nothing was spent. It may be tried again, from `retryAt` on where that is known. */
    | "unavailable"
    /** The refresh token may be spent and no answer was had. That is recorded; it may be tried again. */
    | "uncertain"
    /** Somebody logged in anew meanwhile, as `login`. */
    | "account_changed"
    /** New tokens cannot be stored. */
    | "unsaved"
    /** A new login was not stored. */
    | "not_installed"
    /** A bug in the host. */
    | "misuse";
  /** The stable name, the same on every host. */
  code: string;
  /** One sentence for people, without secrets. */
  message: string;
  /** What to do about it, where there is something to say. */
  hint: string | null;
  /** What the store said, where it was the store. */
  detail: string | null;
  /** When to try again, where that is known. */
  retryAt: Timestamp | null;
  /** With `account_changed`: the login that is stored now. */
  login: string | null;
}

/** How {@link Core.install} ends. */
export type Installed =
  | { type: "installed"; credentials: Credentials }
  /** As in {@link Outcome}. */
  | { type: "unsaved"; ready: Ready | null; error: Failure }
  | { type: "failed"; error: Failure };

/** How {@link Core.forget} ends. */
export type Forgotten =
  /** There was no login. */
  | { type: "nothing_stored" }
  /** The credentials are deleted. */
  | { type: "deleted"; revoked: Revoked }
  /** Another login was stored meanwhile. It is not ours to delete. */
  | { type: "another_login"; revoked: Revoked }
  /** The credentials are still there. `error` is `null` where other programs kept changing them. */
  | { type: "still_stored"; revoked: Revoked; error: StoreError | null }
  | { type: "failed"; error: Failure };

/** What became of a login at the server. */
export type Revoked =
  /** The server confirmed it. */
  | { type: "yes" }
  /** It was not asked: it has no such endpoint, there was no refresh token, or the caller did not want it. */
  | { type: "not_asked" }
  /** It was asked and did not confirm, or a refresh may be under way. */
  | { type: "unconfirmed"; detail: string };

/** A login as a program may hold it. */
export interface Credentials {
  accessToken: string;
  /** Without one the login ends when the access token expires. */
  refreshToken: string | null;
  /** When the access token expires. */
  expiresAt: Timestamp;
  /** When it was obtained. */
  obtainedAt: Timestamp | null;
  /** The granted scope, where the server named it. */
  scope: string | null;
  /** The client it was issued to, and where to refresh it. */
  client: Client | null;
}

/**
 * Tokens that a program has from elsewhere. At least one of the two. An access token without `expiresAt` counts as
 * living until it is rejected.
 */
export interface NewCredentials {
  accessToken?: string | null;
  refreshToken?: string | null;
  expiresAt?: Timestamp | null;
  obtainedAt?: Timestamp | null;
  scope?: string | null;
  client?: Client | null;
}

/** What a refresh and a revocation need to know. It is stored beside the tokens. */
export interface Client {
  /** The name of the provider at login. */
  name: string;
  /** The issuer identifier (RFC 8414 section 2). */
  issuer?: string | null;
  tokenEndpoint: string;
  revocationEndpoint?: string | null;
  clientId: string;
  /** How token requests are encoded: as a form, which is the standard, or as JSON. */
  body?: "form" | "json";
  /** Statuses, beside the error `invalid_grant`, by which this server says that a refresh token is refused. */
  refusedStatuses?: number[];
  /** The resource that the tokens are for (RFC 8707), where one was named at login. */
  resource?: string | null;
}

/** What a login needs to know about an authorization server: the same document as in `providers.toml`. */
export interface Provider {
  /** The name that it is chosen by. */
  name: string;
  /** The issuer identifier (RFC 8414 section 2). With it, an `iss` in the authorization response is compared. */
  issuer?: string | null;
  authorization_endpoint: string;
  token_endpoint: string;
  /** The revocation endpoint (RFC 7009). */
  revocation_endpoint?: string | null;
  /** The id of the application that you registered at the server. */
  client_id?: string | null;
  /** The scopes to ask for. */
  scopes?: string[];
  /** How token requests are encoded. */
  body?: "form" | "json";
  /** Parameters of the authorization request beside the standard ones. */
  authorization_parameters?: Record<string, string>;
  /** What a loopback redirect URI must look like. */
  redirect?: { host?: "literal" | "localhost"; path?: string; ports?: number[] };
  /** A page of the server that shows the code to copy. */
  manual_redirect?: string | null;
  /** Statuses, beside the error `invalid_grant`, by which this server says that a refresh token is refused. */
  refused_statuses?: number[];
  /** Whether every authorization response has an `iss` (RFC 9207 section 3). */
  expects_iss?: boolean;
  /** The device authorization endpoint (RFC 8628 section 3.1). */
  device_authorization_endpoint?: string | null;
  /** The resource that the tokens are for (RFC 8707): an absolute URI without a fragment. */
  resource?: string | null;
  /** The pushed authorization request endpoint (RFC 9126). */
  pushed_authorization_request_endpoint?: string | null;
  /** Whether the server takes pushed authorization requests alone. A login of a page is refused there: it pushes none. */
  require_pushed_authorization_requests?: boolean;
  /** The client registration endpoint (RFC 7591). Pages do not register themselves. */
  registration_endpoint?: string | null;
  /** Whether the server takes the URL of a client's metadata document for a client id. */
  client_id_metadata_document_supported?: boolean;
}

/** A provider that the core knows: `demo` and `demo-claude` are the embedded server at `issuer`. */
export type BuiltIn =
  | { builtin: "claude"; client_id: string }
  | { builtin: "demo" | "demo-claude"; issuer: string; client_id?: string | null };

/** What {@link Core.begin} is given. */
export interface LoginOptions {
  provider: Provider | BuiltIn;
  /** A page of a browser application, a listener on this machine, or the page of the server that shows the code. */
  redirect: { type: "page" | "loopback"; uri: string } | { type: "manual" };
  /** 128 hexadecimal digits; random by default. */
  entropy?: string;
}

/** A login that waits for its response. */
export interface Begun {
  /**
   * The attempt, for {@link Core.receive}, for ten minutes. It holds the verifier: keep it where only this program can
   * read it, and forget it before the code is sent.
   */
  pending: string;
  /** What to open in the browser. */
  url: string;
  /** Where the response will go. */
  redirectUri: string;
}

/** A possible authorization response: the query behind the `?`, undecoded; or what a person pasted. */
export type Callback = { type: "query"; query: string } | { type: "pasted"; text: string };

/** What a callback is. */
export type Verdict =
  /** Not the awaited response: go on waiting. */
  | { type: "ignored"; code: string; message: string }
  /** The server or the user said no. The login is over. `error` is the server's code, such as `access_denied`. */
  | { type: "denied"; code: "denied"; message: string; hint: string; error: string }
  /** The code, ready to be exchanged by {@link Core.install}. The login is over: forget `pending`. */
  | { type: "code"; exchange: Exchange };

/** A validated code: the request that spends it. It holds secrets. */
export interface Exchange {
  client: Client;
  request: Request;
}

/** What an answer of the token endpoint means. */
export type Answer =
  | { type: "issued"; accessToken: string; refreshToken: string | null; life: Millis; scope: string | null }
  /** `invalid_grant`. */
  | { type: "refused"; detail: string }
  /** One of {@link Client.refusedStatuses}. */
  | { type: "refused_by_status"; status: number }
  | { type: "throttled"; retryAfter: Millis | null }
  | { type: "client_rejected"; detail: string }
  /** What became of the token cannot be told from this. */
  | { type: "unknown"; retryAfter: Millis | null; detail: string };

/** What the server said about a revocation. */
export type Revocation = { type: "done" } | { type: "unconfirmed"; detail: string };

/** What can be told of a login from the stored bytes alone. Holds no secret. */
export interface Status {
  state:
    /** The access token lives, with more than the margin left. */
    | "valid"
    /** The next call for a token refreshes it. */
    | "needs_refresh"
    /** A refresh is under way, or died on its way. */
    | "in_doubt"
    /** The server refused the refresh token: `reason`. */
    | "refused"
    /** The access token has expired, and there is no refresh token. */
    | "expired"
    | "logged_out"
    /** The stored bytes are no record: `reason`. */
    | "corrupt"
    /** The store cannot be read: `reason`. */
    | "unreadable";
  reason: string | null;
  expiresAt: Timestamp | null;
  obtainedAt: Timestamp | null;
  /** Until when nobody tries to refresh. */
  retryAt: Timestamp | null;
  /** Whether there is a refresh token. */
  refreshable: boolean;
  login: string | null;
  scope: string | null;
  /** Where it is refreshed. */
  client: Client | null;
}

/** What went wrong, in the words of the core. Never holds a secret. */
export class KraubeError extends Error {
  /** The stable name, the same on every host. */
  readonly code: string;
  /** What to do about it, where there is something to say. */
  readonly hint: string | null;
  /**
   * What may be done next: of a token that is not to be had, and of a login that cannot be stored or ended. `null` of all
   * other errors, such as those of a login before it is stored.
   */
  readonly failure: Failure | null;

  constructor(error: { code: string; message: string; hint?: string | null; type?: never } | Failure) {
    super(error.message);
    this.name = "KraubeError";
    this.code = error.code;
    this.hint = error.hint ?? null;
    this.failure = error.type === undefined ? null : error;
  }
}

/** The core. All of it is synchronous; what it throws is a {@link KraubeError}. */
export interface Core {
  /** Begins a run that gives a living token. `kept`: the last run on this store, if it {@link Run.keeps} something. */
  obtain(options?: ObtainOptions, now?: Now, kept?: Run<unknown>): Run<Outcome>;
  /** Begins a run that stores a new login. */
  install(options: InstallOptions, now?: Now, kept?: Run<unknown>): Run<Installed>;
  /** Begins a run that revokes and deletes a login. */
  forget(options?: ForgetOptions, now?: Now, kept?: Run<unknown>): Run<Forgotten>;
  /** Whether more than the margin is left of a token. It allocates nothing. `now` is wall-clock time. */
  isFresh(token: Pick<Ready, "expiresAt" | "obtainedAt">, minValid?: Millis, now?: Timestamp, policy?: Policy): boolean;
  /** How long before its expiry a token stops being fresh: for timers. */
  margin(token: Pick<Ready, "expiresAt" | "obtainedAt">, minValid?: Millis, now?: Timestamp, policy?: Policy): Millis;
  /** The revision of stored bytes. */
  revision(blob: Blob): Revision;
  /** Judges what was read: bytes, nothing, or why it cannot be read. */
  status(read: { blob: Blob | null } | { error: StoreError }, now?: Timestamp, policy?: Policy): Status;
  /** The figures, with these in place of the defaults. */
  policy(figures?: Policy): Required<Policy>;
  /** Scheme, host and port of an `https` URL, or of an `http` URL of the loopback interface. Others are refused. */
  origin(url: string): string;
  /** The bytes of a record with these credentials, for a store that holds nothing yet. */
  record(credentials: NewCredentials): string;
  /** Which client we are at this server. */
  client(provider: Provider | BuiltIn): Client;
  /** Makes the authorization request of one login (RFC 6749 section 4.1.1, RFC 7636). */
  begin(options: LoginOptions, now?: Timestamp): Begun;
  /** Judges a callback of a login. */
  receive(pending: string, callback: Callback, now?: Timestamp): Verdict;
  /** The refresh request (RFC 6749 section 6). */
  refreshRequest(client: Client, refreshToken: string): Request;
  /** Reads an answer to a refresh request, or to a code exchange. */
  readAnswer(client: Client, response: Response, now?: Now): Answer;
  /** The request that revokes a refresh token (RFC 7009 section 2.1); `null`: the server has no such endpoint. */
  revocationRequest(client: Client, refreshToken: string): Request | null;
  /** Reads the answer to it. */
  readRevocation(response: Response): Revocation;
}

let loading: Promise<Core> | undefined;

/**
 * Loads the core, once. A failure is not kept: the next call tries again.
 *
 * @throws {KraubeError} `no_wasm`: this runtime, or its content security policy, does not run WebAssembly.
 */
export function load(): Promise<Core> {
  loading ??= instantiate().catch((cause: unknown) => {
    loading = undefined;
    throw new KraubeError({
      code: "no_wasm",
      message: `the core cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      hint: "allow 'wasm-unsafe-eval' in the script-src of the content security policy",
    });
  });
  return loading;
}

async function instantiate(): Promise<Core> {
  await init({ module_or_path: await bytes() });
  return core;
}

const core: Core = {
  obtain: (options = {}, at, kept) => new CoreRun("obtain", { run: random(8), ...options }, at, kept),
  install: (options, at, kept) => new CoreRun("install", { login: random(8), ...options }, at, kept),
  forget: (options = {}, at, kept) => new CoreRun("forget", options, at, kept),
  isFresh: (token, minValid = 0, at = Date.now(), policy) =>
    fresh(token.expiresAt, token.obtainedAt ?? NaN, minValid, at, policy?.margin ?? NaN),
  margin: (token, minValid = 0, at = Date.now(), policy) =>
    margin(token.expiresAt, token.obtainedAt ?? NaN, minValid, at, policy?.margin ?? NaN),
  revision: (blob) => revision(typeof blob === "string" ? encoder.encode(blob) : blob),
  status: (read, at, policy) => ask("status", { read, policy }, "read", "blob", wall(at)),
  policy: (policy) => ask("policy", { policy }),
  origin: (url) => ask("origin", { url }),
  record: (credentials) => ask("record", { credentials }),
  client: (provider) => ask("client", { provider }),
  begin: (options, at) => ask("begin", { entropy: random(64), ...options }, "", "", wall(at)),
  receive: (pending, callback, at) => ask("receive", { pending, callback }, "", "", wall(at)),
  refreshRequest: (client, refreshToken) => ask("refreshRequest", { client, refreshToken }),
  readAnswer: (client, response, at) => ask("readAnswer", { client, response }, "response", "body", at),
  revocationRequest: (client, refreshToken) => ask("revocationRequest", { client, refreshToken }),
  readRevocation: (response) => ask("readRevocation", { response }, "response", "body"),
};

class CoreRun<O> implements Run<O> {
  next: Step<O>;
  readonly #wasm: Wasm;

  constructor(machine: string, options: object, at: Now = now(), kept?: Run<unknown>) {
    if (kept && !(kept instanceof CoreRun)) throw misuse("kept is no run of this package");
    this.#wasm = kept ? kept.#wasm.after() : new Wasm();
    this.next = read(this.#wasm.start(write({ machine, ...options }), at.wall, at.monotonic));
  }

  step(input: Input, at: Now = now()): Step<O> {
    const member = (input as Input | null)?.type === "replied" ? "response" : "";
    const [value, bytes] = lift({ input }, "input", member, member ? "body" : "blob");
    return (this.next = read(this.#wasm.step(write(value), bytes, at.wall, at.monotonic)));
  }

  living(at: Now = now()): Ready | null {
    return JSON.parse(this.#wasm.living(at.wall, at.monotonic)) as Ready | null;
  }

  get keeps(): boolean {
    return this.#wasm.keeps;
  }
}

const encoder = new TextEncoder();

/** What a system says, as text that can cross: halves of characters are replaced. */
export function words(text: string): string {
  return new TextDecoder().decode(encoder.encode(text));
}

/** One question to the core that no machine is needed for. */
function ask<T>(name: string, value: object, holder = "", member = "", at: Now = now()): T {
  const [lifted, bytes] = lift(value, holder, "", member);
  return read<{ ok: T }>(call(name, write(lifted), bytes, at.wall, at.monotonic)).ok;
}

/**
 * Bytes cross beside the text; in their place stands `true`, and `false` in place of a `true` that somebody gave. What is
 * no text and no bytes is left for the core to judge.
 */
function lift(value: object, outer: string, inner: string, member: string): [object, Uint8Array | undefined] {
  let bytes: Uint8Array | undefined;
  const replace = (from: unknown, [name, ...rest]: string[]): unknown => {
    if (typeof from !== "object" || from === null || name === undefined) return from;
    const old = (from as Record<string, unknown>)[name];
    let put: unknown = rest.length ? replace(old, rest) : old;
    if (!rest.length && (typeof old === "string" || old instanceof Uint8Array)) {
      bytes = typeof old === "string" ? encoder.encode(old) : old;
      put = true;
    } else if (old === true) {
      put = false;
    }
    return put === undefined ? from : { ...from, [name]: put };
  };
  const lifted = replace(value, [outer, inner, member].filter(Boolean));
  return [lifted as object, bytes];
}

function write(value: object): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw misuse("it cannot be written as JSON");
  }
}

function read<T>(json: string): T {
  const value = JSON.parse(json) as T & { error?: { code: string; message: string } };
  if (value.error) throw new KraubeError(value.error);
  return value;
}

function misuse(message: string): KraubeError {
  return new KraubeError({ code: "misuse", message });
}

function wall(at: Timestamp = Date.now()): Now {
  return { wall: at, monotonic: 0 };
}

function random(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
