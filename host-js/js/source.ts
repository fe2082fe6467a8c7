/**
 * What a program uses: {@link TokenSource}. It shares one run of the core among all who ask at the same time, and lets no
 * caller stop it.
 */
import type { Client, Core, Forgotten, InstallOptions, Policy, Ready, Status } from "./core.js";
import { KraubeError, load, now } from "./core.js";
import { Flight, unless } from "./flight.js";
import { MemoryStore } from "./memory.js";
import type { Store } from "./store.js";
import { storeError } from "./store.js";
import type { TokenOptions, Tokens } from "./token.js";
import { minValidOf, Token } from "./token.js";
import { run, runInTurn } from "./unsaved.js";

/** What a source goes by, beside its store. */
export interface SourceOptions {
  /** The figures of the machines; what is absent has its default. */
  policy?: Policy;
  /** Where to refresh a record that does not say so itself, because another program wrote it. */
  defaultClient?: Client;
}

/**
 * Gives living access tokens, refreshed where that is due.
 *
 * While the token in memory is fresh, {@link token} looks at nothing else. When it is not, one run serves all callers: it
 * looks at the store, takes the lock, looks again, and only then spends the refresh token.
 */
export class TokenSource implements Tokens {
  readonly #store: Store;
  readonly #options: SourceOptions;
  #core: Core | undefined;
  #token: Token | null = null;
  #rejected: string | null = null;
  /** The token that the newest one came after, whether that lives or is the rejected one. */
  #before: string | null = null;
  #flight: Flight | null = null;

  /** By default the login is kept in the memory of this program. Nothing is read yet. */
  constructor(store: Store = new MemoryStore(), options: SourceOptions = {}) {
    this.#store = store;
    this.#options = options;
  }

  async token(options: TokenOptions = {}): Promise<Token> {
    const { signal } = options;
    const minValid = minValidOf(options);
    for (;;) {
      signal?.throwIfAborted();
      if (this.#token !== null && this.#core?.isFresh(this.#token, minValid, Date.now(), this.#options.policy)) {
        return this.#token;
      }
      const flight = (this.#flight ??= this.#start(minValid));
      const serves = flight.rejected === this.#rejected && flight.minValid >= minValid;
      if (serves) return unless(signal, flight.answer());
      await unless(signal, flight.ended);
    }
  }

  reject(token: Token | string): void {
    const text = typeof token === "string" ? token : token.expose();
    if (this.#token !== null) {
      if (this.#token.expose() !== text) return;
    } else {
      if (text === this.#before || text === this.#rejected) return;
      // It is not known: it was served while a run was under way.
      this.#before = this.#rejected;
    }
    this.#rejected = text;
    this.#token = null;
  }

  /** What can be told of the login by reading alone: no lock, no request, no change. */
  async status(): Promise<Status> {
    const core = await load();
    const read = await this.#store.read().then(
      (blob) => ({ blob }),
      (error: unknown) => ({ error: storeError(error) }),
    );
    return core.status(read, Date.now(), this.#options.policy);
  }

  /**
   * Stores a new login in place of the one that is there: credentials that the program has from elsewhere, or the code
   * that a login has brought.
   *
   * @throws {KraubeError} Nothing was stored.
   */
  async install(login: NewLogin): Promise<void> {
    const core = await load();
    const outcome = await runInTurn(this.#store, (kept) => core.install({ new: login, ...this.#policy() }, now(), kept));
    if (outcome.type !== "installed") throw new KraubeError(outcome.error);
    this.#rejected = null;
    this.#token = null;
  }

  /**
   * Ends the login: revokes it at the server, where it has an endpoint for that, and deletes what is stored, whatever the
   * server says. How that went is in the result.
   */
  async logout({ revoke = true }: { revoke?: boolean } = {}): Promise<LoggedOut> {
    const core = await load();
    const outcome = await runInTurn(this.#store, (kept) => core.forget({ revoke, ...this.#policy() }, now(), kept));
    if (outcome.type === "failed") throw new KraubeError(outcome.error);
    this.#token = null;
    return outcome;
  }

  #keep(token: Token): void {
    const newest = this.#token?.expose() ?? this.#rejected;
    if (newest !== token.expose()) this.#before = newest;
    this.#token = token;
  }

  #start(minValid: number): Flight {
    const flight = new Flight(minValid, this.#rejected, async (flight) => {
      const token = new Token(await this.#obtain(flight));
      // It may have been rejected while the run was under way.
      if (token.expose() !== this.#rejected) this.#keep(token);
      return token;
    });
    void flight.ended.then(() => (this.#flight = null));
    return flight;
  }

  /** One run, and a second one where somebody logged in anew meanwhile. */
  async #obtain(flight: Flight): Promise<Ready> {
    const core = (this.#core ??= await load());
    const { minValid, rejected } = flight;
    const { policy, defaultClient = null } = this.#options;
    const { patience } = core.policy(policy);
    const once = () =>
      run(
        this.#store,
        (kept) => {
          const begun = core.obtain({ minValid, rejected, defaultClient, ...this.#policy() }, now(), kept);
          flight.began(begun, patience);
          return begun;
        },
        () => flight.look(),
      );
    let outcome = await once();
    if (outcome.type === "failed" && outcome.error.type === "account_changed") outcome = await once();
    if (outcome.type === "ready") return outcome.ready;
    if (outcome.type === "unsaved" && outcome.ready !== null) return outcome.ready;
    throw new KraubeError(outcome.error);
  }

  #policy(): { policy?: Policy } {
    const { policy } = this.#options;
    return policy === undefined ? {} : { policy };
  }
}

/** A new login: credentials that a program has, or a validated code. */
export type NewLogin = InstallOptions["new"];

/** How a logout went. */
export type LoggedOut = Exclude<Forgotten, { type: "failed" }>;
