/** One run for all who ask at the same time. Who waits too long for a fresher token gets the one that still lives. */
import type { Millis, Ready, Run } from "./core.js";
import { now } from "./core.js";
import { Token } from "./token.js";

/** A run under way, and those who wait for it. */
export class Flight {
  /** The run is over, whatever came of it. Never fails. */
  readonly ended: Promise<void>;
  #waiting: { resolve(token: Token): void; reject(error: unknown): void }[] = [];
  #result: Promise<Token>;
  #over = false;
  #run: Run<unknown> | null = null;
  #patience: Millis = Infinity;

  /** Begins the work at once; it tells {@link began} of each run and {@link look}s before each action. */
  constructor(
    readonly minValid: Millis,
    readonly rejected: string | null,
    work: (flight: Flight) => Promise<Token>,
  ) {
    // Not before the constructor has returned.
    this.#result = Promise.resolve().then(() => work(this));
    this.ended = this.#result.then(
      (token) => this.#end((waiting) => waiting.resolve(token)),
      (error: unknown) => this.#end((waiting) => waiting.reject(error)),
    );
  }

  /** The token that the run brings, or the one that still lives when the patience is over. */
  answer(): Promise<Token> {
    if (this.#over) return this.#result;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.look();
    });
  }

  /** A run begins; callers have this much patience with the whole flight. */
  began(run: Run<unknown>, patience: Millis): void {
    this.#run = run;
    if (this.#patience !== Infinity) return;
    this.#patience = performance.now() + patience;
    const timer = setTimeout(() => this.look(), patience);
    void this.ended.then(() => clearTimeout(timer));
  }

  /** Answers those who have waited long enough, if there is a token that lives. */
  look(): void {
    if (this.#over || this.#waiting.length === 0 || performance.now() < this.#patience) return;
    const living: Ready | null = this.#run?.living(now()) ?? null;
    if (living === null) return;
    const token = new Token(living);
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(token);
  }

  #end(tell: (waiting: { resolve(token: Token): void; reject(error: unknown): void }) => void): void {
    this.#over = true;
    this.#run = null;
    this.#waiting.splice(0).forEach(tell);
  }
}

/** The promise, unless the signal comes first. */
export function unless<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
