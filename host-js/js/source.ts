/** What a program uses: {@link TokenSource}. */
import type { Client, Core, Forgotten, InstallOptions, Policy, Ready, Status } from "./core.js";
import { KraubeError, load, now } from "./core.js";
import type { Flight } from "./flight.js";
import { MemoryStore } from "./memory.js";
import { Newest } from "./newest.js";
import type { Store } from "./store.js";
import { storeError } from "./store.js";
import type { Token, TokenOptions, Tokens } from "./token.js";
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
  #newest = this.#anew();

  /** By default the login is kept in the memory of this program. Nothing is read yet. */
  constructor(store: Store = new MemoryStore(), options: SourceOptions = {}) {
    this.#store = store;
    this.#options = options;
  }

  token(options?: TokenOptions): Promise<Token> {
    return this.#newest.token(options);
  }

  reject(token: Token | string): void {
    this.#newest.reject(token);
  }

  /** What can be told of the login by reading alone: no lock, no request, no change. */
  async status(): Promise<Status> {
    const core = await load();
    const { policy } = this.#options;
    try {
      return core.status({ blob: await this.#store.read() }, Date.now(), policy);
    } catch (error) {
      return core.status({ error: storeError(error) }, Date.now(), policy);
    }
  }

  /**
   * Stores a new login in place of the one that is there: credentials that the program has from elsewhere, or the code
   * that a login has brought.
   *
   * @throws {KraubeError} Nothing was stored. Where that is `unsaved`, this program keeps the new login, serves it, and stores
   *   it as soon as that works.
   */
  async install(login: NewLogin): Promise<void> {
    const core = await load();
    const outcome = await runInTurn(this.#store, (kept) => core.install({ new: login, ...this.#policy() }, now(), kept));
    // Also where it cannot be stored yet: this program has it.
    if (outcome.type !== "failed") this.#newest = this.#anew();
    if (outcome.type !== "installed") throw new KraubeError(outcome.error);
  }

  /**
   * Ends the login: revokes it at the server, where it has an endpoint for that, and deletes what is stored, whatever the
   * server says. How that went is in the result.
   */
  async logout({ revoke = true }: { revoke?: boolean } = {}): Promise<LoggedOut> {
    const core = await load();
    const outcome = await runInTurn(this.#store, (kept) => core.forget({ revoke, ...this.#policy() }, now(), kept));
    if (outcome.type === "failed") throw new KraubeError(outcome.error);
    this.#newest = this.#anew();
    return outcome;
  }

  /** With nothing in memory. What a run brings that has begun before is not kept. */
  #anew(): Newest {
    return new Newest(
      (token, minValid) => this.#core?.isFresh(token, minValid, Date.now(), this.#options.policy),
      (flight) => this.#obtain(flight),
    );
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
