/** A folder of a test's own, with a credentials file in it that the command and every runtime can use. */
import { mkdtemp, rm, stat, readFile, writeFile, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Makes it, and removes it after the test. */
export async function folder(context) {
  const path = await mkdtemp(join(tmpdir(), "kraube-js-"));
  context.after(() => rm(path, { recursive: true, force: true }));
  const file = join(path, "credentials.json");
  return {
    path,
    file,
    lock: `${file}.lock`,
    env: { KRAUBE_CREDENTIALS_PATH: file },
    /** As the command stores a login. */
    async store({ refreshToken, accessToken, expiresAt, client }, more = {}) {
      const record = { refreshToken, accessToken, expiresAt, ...more, kraube: { login: "0123456789abcdef", provider: client } };
      await writeFile(file, JSON.stringify(record), { mode: 0o600 });
    },
    read: async () => JSON.parse(await readFile(file, "utf8")),
    mode: async (path = file) => ((await stat(path)).mode & 0o7777).toString(8),
    list: async () => (await readdir(path)).sort(),
  };
}
