// The package on `window.kraube`, and what the tests do with it in a page. A page with an answer of the server finishes the
// login by itself, as the page of an application does.
import * as kraube from "./kraube/browser.js";

const stores = { localStorage: kraube.LocalStorageStore, indexedDB: kraube.IndexedDbStore };
const name = new URLSearchParams(location.hash.slice(1)).get("store") ?? sessionStorage.getItem("store") ?? "indexedDB";
sessionStorage.setItem("store", name);
const store = name === "memory" ? new kraube.MemoryStore() : new stores[name]("test");

/** What a call came to, as a test sees it: an error by its code. */
const told = async (work) => {
  try {
    return { ok: (await work()) ?? null };
  } catch (error) {
    return { error: typeof error.code === "string" ? error.code : error.name, message: error.message, hint: error.hint ?? null, failure: error.failure };
  }
};

const harness = {
  kraube,
  store,
  told,
  source: new kraube.TokenSource(store),
  /** With other figures. */
  use(policy) {
    harness.source = new kraube.TokenSource(store, { policy });
  },
  install: (credentials) => told(() => harness.source.install({ type: "credentials", credentials })),
  token: (options) => told(async () => (await harness.source.token(options)).expose()),
  /** Rejects one token after the other, until there were so many. */
  force: (times) =>
    told(async () => {
      for (let count = 0; count < times; count += 1) harness.source.reject(await harness.source.token());
    }),
  redirect: (options) => told(() => kraube.loginWithRedirect(options)),
  /** From a click, as the browser wants it. */
  popup(options) {
    harness.result = new Promise((resolve) => {
      document.getElementById("go").onclick = () => resolve(told(() => kraube.loginWithPopup(harness.source, options)));
    });
  },
};
harness.finished = told(() => kraube.finishLogin(harness.source));
addEventListener("pageshow", (event) => (harness.restored = event.persisted));
window.harness = harness;
document.body.dataset.ready = "";
