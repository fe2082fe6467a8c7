/**
 * `oidc-provider` as a program, for suites that are not in JavaScript: what a native application may use is switched
 * on, and every refresh token is good for one use. The one argument is a JSON object:
 *
 * | member | |
 * |---|---|
 * | `accessLife` | the life of access tokens in seconds |
 * | `par` | pushed authorization requests are required (RFC 9126) |
 * | `dpop` | tokens of the client are bound to a key, with nonces (RFC 9449) |
 * | `register` | the client is not known; it may register (RFC 7591) |
 *
 * It prints the issuer on a line. `GET /counts` beside the standard endpoints tells what happened so far. It ends with its
 * standard input.
 */
import { randomBytes } from "node:crypto";
import { start } from "./oidc-provider.js";

const { accessLife = 3600, par = false, register = false, dpop = false } = JSON.parse(process.argv[2] ?? "{}");

const device = "urn:ietf:params:oauth:grant-type:device_code";
const server = await start({
  clientId: register ? "another" : "kraube",
  // Of an application on a person's machine: any port (RFC 8252 section 7.3).
  redirectUris: ["http://127.0.0.1/callback"],
  grants: [device],
  client: { dpop_bound_access_tokens: dpop },
  accessLife,
  features: {
    deviceFlow: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: par },
    dPoP: dpop ? { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true } : { enabled: false },
    registration: { enabled: register },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({ scope: "read", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: accessLife }),
    },
  },
  settings: { rotateRefreshToken: () => true },
});
server.count("/counts");
console.log(server.issuer);
process.stdin.resume().on("end", () => process.exit(0));
