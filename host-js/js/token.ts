/** The access token as a program holds it, and whoever gives one. */
import type { Failure, Millis, Ready, Timestamp } from "./core.js";
import { KraubeError } from "./core.js";

/** Something that gives living access tokens. */
export interface Tokens {
  /**
   * A living access token.
   *
   * @throws {KraubeError} sorted by what may be done next: see {@link Failure}. `misuse`: `minValid` is no such time. Where
   *   `signal` ends the wait, its reason is thrown as it is.
   */
  token(options?: TokenOptions): Promise<Token>;
  /**
   * A resource answered 401 to this token. The next call adopts what another tab or process has stored since, or
   * refreshes once. A token that is not the newest one any more is passed over, so that the newest stays rejected.
   */
  reject(token: Token | string): void;
}

/** What a caller may ask for. */
export interface TokenOptions {
  /** The token shall live for at least this long, wherever the server issues such: zero or more, zero by default. */
  minValid?: Millis;
  /** Ends the wait of this caller, and of nobody else: a refresh that is under way goes on. */
  signal?: AbortSignal;
}

/** `minValid`, as every {@link Tokens} reads it; at most what is written without an exponent, as the command wants it. */
export function minValidOf(options: TokenOptions): Millis {
  const asked: unknown = options.minValid ?? 0;
  if (typeof asked === "number" && asked >= 0) return Math.min(asked, Number.MAX_SAFE_INTEGER);
  throw new KraubeError({ code: "misuse", message: "minValid must be a number of milliseconds that is not negative" });
}

/** A living access token. It does not show itself to a console, a template or `JSON.stringify`: {@link expose} it where it belongs. */
export class Token {
  readonly #ready: Ready;

  /** @internal */
  constructor(ready: Ready) {
    this.#ready = ready;
  }

  /** The token itself. */
  expose(): string {
    return this.#ready.accessToken;
  }

  /** The value of the `Authorization` header (RFC 6750 section 2.1). */
  authorization(): string {
    return `Bearer ${this.#ready.accessToken}`;
  }

  /** When it expires. */
  get expiresAt(): Timestamp {
    return this.#ready.expiresAt;
  }

  /** Identifies the login that it belongs to; `null` where another program wrote the credentials. */
  get login(): string | null {
    return this.#ready.login;
  }

  /** When it was obtained, where that is known. */
  get obtainedAt(): Timestamp | null {
    return this.#ready.obtainedAt;
  }

  /** The granted scope, where the server named it. */
  get scope(): string | null {
    return this.#ready.scope;
  }

  /** Why it was not refreshed although that was due. It lives, but nothing better is to be had at the moment. */
  get stale(): Failure | null {
    return this.#ready.stale;
  }

  /** Whether it was found in the store, or a refresh of this very program brought it. */
  get via(): "store" | "exchange" {
    return this.#ready.via;
  }

  toString(): string {
    return "[access token]";
  }

  toJSON(): string {
    return "[access token]";
  }
}
