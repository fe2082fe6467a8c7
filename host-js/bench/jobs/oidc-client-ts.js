import { UserManager, WebStorageStateStore } from "oidc-client-ts";

const manager = (settings) => new UserManager({ ...settings, userStore: new WebStorageStateStore({ store: localStorage }) });
export const login = (settings) => manager(settings).signinRedirect();
export const answer = (settings) => manager(settings).signinRedirectCallback();
export const token = async (settings) => {
  const users = manager(settings);
  const user = await users.getUser();
  return (user?.expired === false ? user : await users.signinSilent())?.access_token;
};
