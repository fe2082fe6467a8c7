/**
 * The newest token of a source, for all who ask: from memory while it is fresh, else by one run that they share and none of
 * them can stop. Which tokens count as rejected is decided here.
 */
import type { Millis, Ready } from "./core.js";
import { Flight, unless } from "./flight.js";
import type { TokenOptions, Tokens } from "./token.js";
import { minValidOf, Token } from "./token.js";

/** What a source remembers between its runs. */
export class Newest implements Tokens {
  #token: Token | null = null;
  #rejected: string | null = null;
  /** The token that the newest one came after, whether that lives or is the rejected one. */
  #before: string | null = null;
  #flight: Flight | null = null;

  /** `obtain` does the work of a run. */
  constructor(
    readonly isFresh: (token: Token, minValid: Millis) => boolean | undefined,
    readonly obtain: (flight: Flight) => Promise<Ready>,
  ) {}

  async token(options: TokenOptions = {}): Promise<Token> {
    const { signal } = options;
    const minValid = minValidOf(options);
    for (;;) {
      signal?.throwIfAborted();
      if (this.#token !== null && this.isFresh(this.#token, minValid)) return this.#token;
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
      // It is not known: it was served while a run was under way, or is from elsewhere.
      this.#before = this.#rejected;
    }
    this.#rejected = text;
    this.#token = null;
  }

  #start(minValid: Millis): Flight {
    const flight = new Flight(minValid, this.#rejected, async (flight) => {
      const token = new Token(await this.obtain(flight));
      // It may have been rejected while the run was under way.
      if (token.expose() !== this.#rejected) this.#keep(token);
      return token;
    });
    void flight.ended.then(() => (this.#flight = null));
    return flight;
  }

  #keep(token: Token): void {
    const newest = this.#token?.expose() ?? this.#rejected;
    if (newest !== token.expose()) this.#before = newest;
    this.#token = token;
  }
}
