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
 * | `offline` | refresh tokens are given for `offline_access` alone (OpenID Connect Core section 11) |
 * | `document` | `{ cert, key }`: the client is known by a metadata document, served here with this certificate |
 *
 * It prints the issuer on a line, and the address of the document on the next. `GET /counts` beside the standard endpoints tells what happened so far. It ends with its
 * standard input.
 */
import { randomBytes } from "node:crypto";
import { createServer } from "node:https";
import { setDefaultAutoSelectFamilyAttemptTimeout } from "node:net";
import { start } from "./oidc-provider.js";

// Where `localhost` has two addresses, a busy machine takes longer to answer at the one that is right than the quarter of a
// second after which Node gives up on it.
setDefaultAutoSelectFamilyAttemptTimeout(60_000);

const options = JSON.parse(process.argv[2] ?? "{}");
const { accessLife = 3600, par = false, register = false, dpop = false, offline = false, document } = options;

const device = "urn:ietf:params:oauth:grant-type:device_code";
const published = document && (await publish(document));
const server = await start({
  clientId: register || document ? "another" : "kraube",
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
    ...(document && { clientIdMetadataDocument: { enabled: true, ack: "draft-02" } }),
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({ scope: "read", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: accessLife }),
    },
  },
  settings: {
    rotateRefreshToken: () => true,
    ...(offline && { issueRefreshToken: (_, client, code) => client.grantTypeAllowed("refresh_token") && code.scopes.has("offline_access") }),
    // Its own way of fetching refuses addresses of this machine, which is where everything here is.
    ...(document && { fetch: (url, { dispatcher, ...options }) => fetch(url, options) }),
  },
});
server.count("/counts");
console.log(server.issuer);
if (published) console.log(published);

/** The metadata of an application on a person's machine, as its author would publish them. */
async function publish(tls) {
  const server = createServer(tls, (_, response) => {
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        client_id: url,
        client_name: "kraube",
        application_type: "native",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code", "refresh_token"],
        redirect_uris: ["http://127.0.0.1/callback", "http://[::1]/callback"],
      }),
    );
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://localhost:${server.address().port}/kraube.json`;
  return url;
}
process.stdin.resume().on("end", () => process.exit(0));
