/** A store in `localStorage`. */
import { WebStore } from "./web-store.js";

/** Keeps the login in `localStorage`, below `kraube:` and its name. The risks are those of {@link WebStore}. */
export class LocalStorageStore extends WebStore {
  readonly #item: string;
  readonly #room: string;

  constructor(name = "default") {
    super("localStorage", name);
    this.#item = `kraube:${name}`;
    this.#room = `kraube:${name}:room`;
  }

  protected async get() {
    return localStorage.getItem(this.#item);
  }

  protected async set(fits: (before: string | null) => boolean, blob: string | null, reserve: number) {
    if (!fits(localStorage.getItem(this.#item))) return false;
    // The room that was set aside is what this write may take.
    localStorage.removeItem(this.#room);
    if (reserve > 0) localStorage.setItem(this.#room, " ".repeat(reserve));
    if (blob === null) localStorage.removeItem(this.#item);
    else localStorage.setItem(this.#item, blob);
    return true;
  }

  protected listen(changed: () => void) {
    const listener = (event: StorageEvent) => {
      // `null`: all of it was cleared.
      if (event.key === this.#item || event.key === null) changed();
    };
    addEventListener("storage", listener);
    return () => removeEventListener("storage", listener);
  }
}
