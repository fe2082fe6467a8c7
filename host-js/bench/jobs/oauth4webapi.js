import * as oauth from "oauth4webapi";

export async function login(server, client, redirectUri) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint);
  url.searchParams.set("response_type", "code");
  url.searchParams.set("client_id", client.client_id);
  url.searchParams.set("redirect_uri", redirectUri);
  url.searchParams.set("state", state);
  url.searchParams.set("code_challenge", await oauth.calculatePKCECodeChallenge(verifier));
  url.searchParams.set("code_challenge_method", "S256");
  sessionStorage.setItem("login", JSON.stringify({ verifier, state }));
  return url.href;
}

export async function answer(server, client, redirectUri) {
  const { verifier, state } = JSON.parse(sessionStorage.getItem("login"));
  const parameters = oauth.validateAuthResponse(server, client, new URL(location.href), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, oauth.None(), parameters, redirectUri, verifier);
  keep(await oauth.processAuthorizationCodeResponse(server, client, response));
}

export async function token(server, client) {
  const kept = JSON.parse(localStorage.getItem("tokens"));
  if (kept.expiresAt > Date.now()) return kept.access_token;
  const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), kept.refresh_token);
  return keep(await oauth.processRefreshTokenResponse(server, client, response)).access_token;
}

function keep(tokens) {
  localStorage.setItem("tokens", JSON.stringify({ ...tokens, expiresAt: Date.now() + tokens.expires_in * 1000 }));
  return tokens;
}
