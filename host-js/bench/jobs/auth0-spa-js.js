import { Auth0Client } from "@auth0/auth0-spa-js";

const client = (settings) => new Auth0Client({ ...settings, useRefreshTokens: true, cacheLocation: "localstorage" });
export const login = (settings) => client(settings).loginWithRedirect();
export const answer = (settings) => client(settings).handleRedirectCallback();
export const token = (settings) => client(settings).getTokenSilently();
