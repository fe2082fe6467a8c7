// A component that calls a protected resource: `run URL`. It imports `kraube:auth/tokens`, and knows nothing of logins,
// refresh tokens, files or locks.
//
//     cargo xtask wasi
//     kraube-wasi run target/wasi/js.wasm https://api.example.org/resource

import { getToken, reject } from "kraube:auth/tokens@0.1.0";
import { getArguments } from "wasi:cli/environment@0.2.12";

export const run = {
  async run() {
    try {
      const [, url] = getArguments();
      if (url === undefined) throw new Error("usage: app URL");
      console.log(await call(url));
    } catch (error) {
      console.error(`error: ${told(error)}`);
      // The result of `wasi:cli/run` has no payload.
      throw undefined;
    }
  },
};

/// One call, and a second one with another token where the first was answered with 401.
async function call(url) {
  let { value } = getToken({ minValid: 0n });
  let answer = await get(url, value);
  if (answer.status === 401) {
    reject(value);
    ({ value } = getToken({ minValid: 0n }));
    answer = await get(url, value);
  }
  if (!answer.ok) throw new Error(`the resource answered ${answer.status}`);
  return answer.text();
}

function get(url, token) {
  return fetch(url, { headers: { authorization: `Bearer ${token}` } });
}

/// The error of a function of the WIT package is the payload of what is thrown: a case, and its problem.
function told(error) {
  const problem = error.payload?.val;
  return problem ? `${problem.message} (${problem.code})\nhint: ${problem.hint ?? ""}` : error.message;
}
