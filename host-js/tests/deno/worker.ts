// One process of many on one credentials file: rejects one token after the other, as often as it is told.
import { FileStore, TokenSource } from "../../../target/js/kraube/dist/deno.js";

const source = new TokenSource(await FileStore.open(), { policy: { rejectFloor: 0 } });
for (let count = 0; count < Number(Deno.args[0]); count += 1) source.reject(await source.token());
