import * as client from "openid-client";

export async function login(config, redirectUri) {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  sessionStorage.setItem("login", JSON.stringify({ verifier, state }));
  return client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  }).href;
}

export async function answer(config) {
  const { verifier, state } = JSON.parse(sessionStorage.getItem("login"));
  const checks = { pkceCodeVerifier: verifier, expectedState: state };
  keep(await client.authorizationCodeGrant(config, new URL(location.href), checks));
}

export async function token(config) {
  const kept = JSON.parse(localStorage.getItem("tokens"));
  if (kept.expiresAt > Date.now()) return kept.access_token;
  return keep(await client.refreshTokenGrant(config, kept.refresh_token)).access_token;
}

function keep(tokens) {
  localStorage.setItem("tokens", JSON.stringify({ ...tokens, expiresAt: Date.now() + tokens.expires_in * 1000 }));
  return tokens;
}

export const configure = (server, id) => client.discovery(server, id, undefined, client.None());
