/**
 * A real authorization server that nobody here wrote: `oidc-provider`, on loopback, started by the tests in their own
 * process. It rotates each refresh token and revokes the whole grant where a spent one comes back.
 */
import Provider from "oidc-provider";
import { createServer } from "node:http";

/**
 * Starts it. `redirectUris` are those of the one client, `clientId`. `client` is added to its
 * metadata, `features` and `settings` to the server's own settings.
 *
 * What happened is counted: `rotations`, and `refused` with the reasons.
 */
export async function start({ redirectUris, clientId = "browser", accessLife = 3600, grants = [], client = {}, features = {}, settings = {} }) {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const counts = { requests: 0, rotations: 0, refused: [] };
  const life = { access: accessLife };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        token_endpoint_auth_method: "none",
        application_type: "native",
        grant_types: ["authorization_code", "refresh_token", ...grants],
        redirect_uris: redirectUris,
        ...client,
      },
    ],
    clientBasedCORS: () => true,
    features: { devInteractions: { enabled: true }, revocation: { enabled: true }, ...features },
    issueRefreshToken: () => true,
    pkce: { required: () => true },
    scopes: ["openid", "offline_access"],
    ttl: { AccessToken: () => life.access, RefreshToken: 86400, Session: 86400, Grant: 86400, Interaction: 600, IdToken: 3600, AuthorizationCode: 60 },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    cookies: { keys: ["only for tests"] },
    ...settings,
  });
  provider.on("grant.success", (context) => {
    if (context.oidc.params.grant_type === "refresh_token") counts.rotations += 1;
  });
  provider.on("grant.error", (_, error) => counts.refused.push(error.error));
  const answer = provider.callback();
  let countsAt;
  server.on("request", (request, response) => {
    if (request.url === countsAt) return response.end(JSON.stringify(counts));
    if (request.method === "POST" && request.url === "/token") counts.requests += 1;
    answer(request, response);
  });
  return {
    issuer,
    counts,
    life,
    /** Tells the counts at this path, for other processes. */
    count: (path) => (countsAt = path),
    provider: {
      name: "oidc-provider",
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      revocation_endpoint: `${issuer}/token/revocation`,
      client_id: clientId,
      scopes: ["openid", "offline_access"],
      authorization_parameters: { prompt: "consent" },
      expects_iss: true,
    },
    userinfo: `${issuer}/me`,
    stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}
