// The job of each file here: log in with PKCE by redirect, take the answer, and give access tokens, refreshed.
import { finishLogin, LocalStorageStore, loginWithRedirect, TokenSource } from "kraube";

export const source = new TokenSource(new LocalStorageStore());
export const login = (provider, redirectUri) => loginWithRedirect({ provider, redirectUri });
export const answer = () => finishLogin(source);
export const token = async () => (await source.token()).expose();
