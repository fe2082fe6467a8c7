// The whole example: log in, keep a token alive, and tell the other tabs what this one did.
import { fetchWithToken, finishLogin, IndexedDbStore, loginWithPopup, loginWithRedirect, TokenSource } from "./kraube/browser.js";

// So that the tabs share the login. Every script of this origin can read it; where one tab is enough, leave the store out:
// the login is then in memory alone.
const store = new IndexedDbStore("example");
// A token that was obtained less than this ago is not refreshed by force: here, so that the button may be pressed often.
const source = new TokenSource(store, { policy: { rejectFloor: 1000 } });

const byId = (id) => document.getElementById(id);
const channel = new BroadcastChannel("example:log");
const tab = sessionStorage.getItem("tab") ?? String.fromCharCode(65 + Math.floor(Math.random() * 26)) + Math.floor(Math.random() * 10);
sessionStorage.setItem("tab", tab);
let shown = null;

const server = await (await fetch("/.well-known/oauth-authorization-server")).json();
const login = {
  provider: {
    name: "example",
    issuer: server.issuer,
    authorization_endpoint: server.authorization_endpoint,
    token_endpoint: server.token_endpoint,
    revocation_endpoint: server.revocation_endpoint,
    client_id: "kraube-example",
    scopes: ["read"],
    expects_iss: server.authorization_response_iss_parameter_supported,
  },
  redirectUri: new URL(".", location.href).href,
};
const api = fetchWithToken(source, { allowedOrigins: [new URL(server.issuer).origin] });

byId("name").textContent = tab;
byId("name").style.setProperty("--hue", hue(tab));
byId("issuer").textContent = server.issuer;
channel.onmessage = (event) => add(event.data);

byId("redirect").onclick = () => attempt(() => loginWithRedirect(login));
byId("popup").onclick = () => attempt(() => loginWithPopup(source, login), "logged in, in a popup");
byId("logout").onclick = () => attempt(() => source.logout(), "logged out");
byId("another").onclick = () => window.open(location.pathname, "_blank", "noopener");
byId("refresh").onclick = () =>
  attempt(async () => {
    // As after a 401: the next call adopts what another tab has stored since, or refreshes once.
    source.reject(await source.token());
  });
byId("call").onclick = () =>
  attempt(async () => {
    const answer = await api(new URL("/resource", server.issuer));
    say(answer.ok ? "used" : "failed", answer.ok ? "called the API" : `the API answered ${answer.status}`);
  });

await attempt(async () => {
  if ((await finishLogin(source)) === "logged_in") say("login", "logged in, by redirect");
});
await look();
document.body.dataset.ready = "";
for (;;) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await look();
}

/** What the token is now. A call like this is what any part of an application does before it uses the token. */
async function look() {
  const { state } = await source.status();
  byId("out").hidden = state !== "logged_out" && state !== "refused";
  byId("in").hidden = !byId("out").hidden;
  if (byId("in").hidden) return (shown = null);
  const token = await attempt(() => source.token());
  if (token === undefined) return;
  if (shown !== null && shown.expiresAt !== token.expiresAt) {
    const refreshed = token.via === "exchange";
    say(refreshed ? "refreshed" : "adopted", refreshed ? "refreshed the token" : "adopted the new token");
  }
  shown = { expiresAt: token.expiresAt };
  const left = Math.max(0, token.expiresAt - Date.now());
  const life = token.expiresAt - (token.obtainedAt ?? token.expiresAt - 60_000);
  byId("left").textContent = `${Math.round(left / 1000)} s`;
  byId("ring").style.setProperty("--gone", 100 - (100 * left) / life);
  byId("ring").classList.toggle("low", left < life / 2);
  byId("token").textContent = `${token.expose().slice(0, 6)}…, until ${time(token.expiresAt)}`;
  byId("via").textContent = token.via === "exchange" ? "refreshed it" : "found it in the store";
  const counters = await (await fetch("/counters")).json();
  byId("rotations").textContent = `rotations ${counters.rotations} · requests ${counters.refresh_requests} · replays ${counters.replays}`;
}

/** Does it, and says what went wrong: every error has a stable code and a hint. */
async function attempt(work, done) {
  try {
    const result = await work();
    if (done !== undefined) say("login", done);
    return result;
  } catch (error) {
    say("failed", `${error.message} (${error.code ?? error.name})`);
    return undefined;
  }
}

function say(kind, text) {
  const entry = { kind, text, tab, at: Date.now() };
  add(entry);
  channel.postMessage(entry);
}

function add({ kind, text, tab: who, at }) {
  const [line, when, name, what] = ["li", "time", "span", "b"].map((tag) => document.createElement(tag));
  line.className = kind;
  when.textContent = time(at);
  name.className = "who";
  name.textContent = who;
  name.style.setProperty("--hue", hue(who));
  what.textContent = text;
  line.append(when, name, what);
  byId("log").prepend(line);
  while (byId("log").children.length > 12) byId("log").lastChild.remove();
}

function time(at) {
  return new Date(at).toLocaleTimeString([], { hour12: false });
}

/** A colour for each tab. */
function hue(name) {
  return String(([...name].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) * 47) % 360);
}
