/** What a Deno program with the credentials file must be allowed, and nothing else. */
export function permissions({ path }, server) {
  return [
    `--allow-read=${path}`,
    `--allow-write=${path}`,
    "--allow-sys=uid",
    `--allow-net=${new URL(server.issuer).host}`,
    "--allow-env=KRAUBE_CREDENTIALS_PATH,XDG_CONFIG_HOME,HOME",
  ];
}
