/**
 * The two servers that the browser logs in at: the embedded one, and one that nobody here wrote. Pages come from the
 * embedded one in both cases, so that they are of another origin than the server that they log in at.
 */
import * as embedded from "./server.js";
import * as foreign from "./oidc-provider.js";

/** Starts both, by name. */
export async function startBoth() {
  const own = await embedded.start({ autoApprove: false });
  const other = await foreign.start({ redirectUris: [page(own)] });
  const click = (name) => (window) => window.getByRole("button", { name }).click();
  return {
    stop: () => Promise.all([own.stop(), other.stop()]),
    servers: {
      "the embedded server": {
        pages: own,
        login: { provider: own.provider, redirectUri: page(own) },
        resource: own.resource,
        approve: click("Approve"),
        deny: click("Deny"),
        setLife: (seconds) => own.set({ accessLife: seconds * 1000 }),
        async counts() {
          const { rotations, replays, token_requests: requests, refused } = await own.counters();
          return { rotations, replays, requests, refused };
        },
      },
      "oidc-provider": {
        pages: own,
        login: { provider: other.provider, redirectUri: page(own) },
        resource: other.userinfo,
        async approve(window) {
          // It asks who logs in, unless it knows by now, and then whether the client may.
          const [who, may] = [window.getByPlaceholder("Enter any login"), window.getByRole("button", { name: "Continue" })];
          await who.or(may).waitFor();
          if (await who.isVisible()) {
            await who.fill("somebody");
            await window.getByPlaceholder("and password").fill("anything");
            await window.getByRole("button", { name: "Sign-in" }).click();
          }
          await may.click();
        },
        deny: (window) => window.getByRole("link", { name: "[ Cancel ]" }).click(),
        setLife: (seconds) => (other.life.access = seconds),
        async counts() {
          const { rotations, refused, requests } = other.counts;
          return { rotations, replays: refused.length, requests, refused: refused.length };
        },
      },
    },
  };
}

/** The redirect URI: the page of the tests. */
function page(own) {
  return `${own.origin}/pages/harness.html`;
}
