// One process of many on one credentials file: rejects one token after the other, as often as it is told, or until its
// standard input ends.
import { FileStore, TokenSource } from "../../../target/js/kraube/dist/deno.js";

let left = Number(Deno.args[0] ?? Infinity);
if (left === Infinity) void new Response(Deno.stdin.readable).text().then(() => (left = 0));
const source = new TokenSource(await FileStore.open(), { policy: { rejectFloor: 0 } });
for (let count = 0; left > 0; left -= 1, count += 1) {
  source.reject(await source.token());
  if (count === 0) console.log("ready");
}
