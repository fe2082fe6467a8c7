/** The embedded authorization server, as `kraube demo --serve` starts it: strict, with the pages under test beside it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { dist, example, kraube, pages } from "./paths.js";

/** Starts it. Pages at `origin` are of another origin than the server at `issuer`, though it is one program. */
export async function start(settings = {}) {
  const files = [
    ["/example", example],
    ["/example/kraube", dist],
    ["/pages", pages],
    ["/pages/kraube", dist],
  ].flatMap(([path, folder]) => ["--files", `${path}=${folder}`]);
  const child = spawn(kraube, ["demo", "--serve", "--strict", "--control", ...files], { stdio: ["pipe", "pipe", "inherit"] });
  const issuer = await new Promise((resolve, reject) => {
    child.on("error", reject).on("exit", (status) => reject(new Error(`the server ended with ${status}`)));
    createInterface(child.stdout).on("line", (line) => {
      const [name, value] = line.split(/ +/);
      if (name === "issuer") resolve(value);
    });
  });
  child.removeAllListeners("exit");
  const post = async (path, body = {}) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${issuer}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const server = {
    issuer,
    origin: issuer.replace("127.0.0.1", "localhost"),
    provider: {
      name: "demo",
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      revocation_endpoint: `${issuer}/revoke`,
      client_id: "kraube-tests",
      scopes: ["read"],
      expects_iss: true,
    },
    client: { name: "demo", issuer, tokenEndpoint: `${issuer}/token`, revocationEndpoint: `${issuer}/revoke`, clientId: "kraube-tests" },
    resource: `${issuer}/resource`,
    /** Changes the behaviour; times in milliseconds. */
    set: (change) => post("/control", change),
    /** The tokens of a login without a browser, as the package takes them. */
    async login() {
      const { refreshToken, accessToken, expiresIn } = await post("/control/login");
      const obtainedAt = Date.now();
      return { refreshToken, accessToken, obtainedAt, expiresAt: obtainedAt + expiresIn * 1000, client: server.client };
    },
    counters: async () => (await fetch(`${issuer}/counters`)).json(),
    /** Waits until what the server saw is so. */
    async until(holds) {
      for (;;) {
        const counters = await server.counters();
        if (holds(counters)) return counters;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    async stop() {
      child.kill();
      await once(child, "exit");
    },
  };
  await server.set({ accessLife: 3600_000, autoApprove: true, ...settings });
  return server;
}
