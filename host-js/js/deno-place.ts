/** Where the credentials file really is, and whether it is one that may be locked and replaced. */
import type { StoreError } from "./core.js";
import { StoreFailure } from "./store.js";

const MAX_LINKS = 16;

/** The canonical paths of the file and of what lies beside it: the same fixed names as on the native host. */
export interface Place {
  directory: string;
  target: string;
  lock: string;
  /** The new content, until it is renamed onto the target. */
  temp: string;
  /** The room that is set aside for the next write. */
  next: string;
  /** Removes what a holder of the lock that was killed left behind. */
  sweep(): Promise<void>;
}

/** The end of a chain of symbolic links: no link itself. */
export interface End {
  path: string;
  /** `null` where nothing is there (yet). */
  meta: Deno.FileInfo | null;
  /** One `sudo` over another user's file would leave a lock file, or credentials, that only root can open. */
  checkOwner(): void;
}

/** Where the command looks for the file, unless it is told. */
export function defaultPath(): string {
  const get = (name: string) => {
    try {
      return Deno.env.get(name) || undefined;
    } catch {
      throw new StoreFailure(
        "store_denied",
        "the path of the credentials cannot be told; run Deno with --allow-env=KRAUBE_CREDENTIALS_PATH,XDG_CONFIG_HOME,HOME",
      );
    }
  };
  const absolute = (path: string | undefined) => (path !== undefined && /^(\/|[A-Za-z]:)/.test(path) ? path : undefined);
  const given = get("KRAUBE_CREDENTIALS_PATH");
  if (given !== undefined) return given;
  const config = absolute(get("XDG_CONFIG_HOME"));
  if (config !== undefined) return `${config}/kraube/credentials.json`;
  const home = absolute(get(Deno.build.os === "windows" ? "USERPROFILE" : "HOME"));
  if (home !== undefined) return `${home}/.config/kraube/credentials.json`;
  throw new StoreFailure("store_io", "no home directory is set; set KRAUBE_CREDENTIALS_PATH to the path of the file");
}

/** Follows the links of the last component. The kernel follows those before it. */
export function follow(start: string): End {
  let path = start;
  let foreign: string | undefined;
  for (let links = 0; links <= MAX_LINKS; links += 1) {
    const meta = found("look at", path, Deno.lstatSync);
    if (meta !== null && isForeign(meta)) foreign = path;
    if (meta?.isSymlink !== true) return { path, meta, checkOwner: () => checkOwner(foreign) };
    const link = found("read the link", path, Deno.readLinkSync);
    // Otherwise it is gone since.
    if (link !== null) path = isAbsolute(link) ? link : `${parts(path).directory}/${link}`;
  }
  const why = `is a symbolic link that runs in a circle, or over more than ${MAX_LINKS} links; mend the link`;
  throw refused("store_irreplaceable", start, why);
}

/** What is at the path, `null` where nothing is. */
function found<T>(doing: string, path: string, look: (path: string) => T): T | null {
  try {
    return look(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw failed(doing, path, error);
  }
}

/** Checks everything that a lock and a write need, before anything is created; then creates the directory. */
export async function place(end: End): Promise<Place> {
  end.checkOwner();
  await createDirectories(parts(end.path).directory);
  const at = await placeOf(end);
  await checkReplaceable(end, at);
  return at;
}

/** Credentials are kept in a regular file alone. */
export function checkRegular(meta: Deno.FileInfo, path: string): void {
  if (meta.isFile) return;
  const why = meta.isDirectory ? "is a directory; give the path of a file" : "is not a regular file; remove it, or choose another path";
  throw refused("store_irreplaceable", path, why);
}

/** Whatever else names the file would keep what is in it. */
export async function checkReplaceable({ path, meta }: End, at: Place): Promise<void> {
  if (meta === null) return;
  checkRegular(meta, path);
  if ((meta.nlink ?? 1) > 1) {
    const why = "is a hard link, and its other names would keep the old credentials; make it a symbolic link";
    throw refused("store_irreplaceable", path, why);
  }
  if (meta.dev !== (await Deno.stat(at.directory)).dev) {
    const why = "is mounted as a single file, which cannot be locked or replaced; mount its directory";
    throw refused("store_irreplaceable", path, why);
  }
}

/** The directory of `end` must exist. */
export async function placeOf({ path }: End): Promise<Place> {
  const { directory: given, name } = parts(path);
  const directory = await Deno.realPath(given).catch((error: unknown) => {
    throw failed("find", given, error);
  });
  const beside = (before: string, after: string) => `${directory}/${before}${name}${after}`;
  const at = { directory, target: beside("", ""), lock: beside("", ".lock"), temp: beside(".", ".tmp"), next: beside(".", ".next") };
  // `.probe` is what the native host tries the directory out with.
  const leftovers = [at.temp, at.next, beside(".", ".probe")];
  const sweep = async () => void (await Promise.allSettled(leftovers.map((file) => Deno.remove(file))));
  return { ...at, sweep };
}

/** The path that identifies the file, also where not all of its directories exist yet. */
export function canonical(path: string): string {
  const { directory, name } = parts(follow(path).path);
  return `${found("find", directory, Deno.realPathSync) ?? directory}/${name}`;
}

/** Whether an open file still is the one that the path names. While it is open its inode number is not used again. */
export async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  const [open, named] = await Promise.all([file.stat(), Deno.lstat(path).catch(() => null)]);
  return named !== null && open.nlink !== 0 && open.dev === named.dev && open.ino === named.ino;
}

/** What the system said, sorted by what people can do about it. */
export function failed(doing: string, path: string, error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error;
  if (error instanceof Deno.errors.NotCapable) {
    const advice = "run Deno with --allow-read and --allow-write for the directory of the credentials and for what its links lead to";
    return new StoreFailure("store_denied", `cannot ${doing} ${path}: Deno does not allow it; ${advice}, and --allow-sys=uid`);
  }
  const { code = "", message = "it failed" } = (error ?? {}) as { code?: string; message?: string };
  const [kind, advice] = ADVICE[code] ?? (["store_io", ""] as const);
  return new StoreFailure(kind, `cannot ${doing} ${path}: ${message}${advice}`);
}

const ADVICE: Record<string, readonly [StoreError["code"], string]> = {
  ENOSPC: ["store_full", "; make room on that disk"],
  EDQUOT: ["store_full", "; make room on that disk"],
  EROFS: ["store_read_only", "; mount the directory so that it can be written to"],
  EACCES: ["store_denied", "; give this user the right to, or choose another path"],
  EPERM: ["store_denied", "; give this user the right to, or choose another path"],
  EBUSY: ["store_irreplaceable", "; mount the directory, not the single file"],
  EISDIR: ["store_irreplaceable", "; remove that directory, or choose another path"],
  ELOOP: ["store_irreplaceable", "; make it a link to a file, or no link"],
  ENOTDIR: ["store_io", "; choose another path"],
};

/** Why it may not be done, although the system would. */
export function refused(code: StoreError["code"], path: string, why: string): StoreFailure {
  return new StoreFailure(code, `${path} ${why}`);
}

function checkOwner(foreign: string | undefined): void {
  if (foreign === undefined) return;
  throw refused("store_not_ours", foreign, "belongs to another user; run this as that user, or choose another path");
}

function isForeign(meta: Deno.FileInfo): boolean {
  try {
    return meta.uid !== null && meta.uid !== Deno.uid();
  } catch (error) {
    throw failed("tell", "whose the credentials are", error);
  }
}

function isAbsolute(path: string): boolean {
  return path.startsWith("/") || (Deno.build.os === "windows" && /^([A-Za-z]:|\\)/.test(path));
}

/** @throws {StoreFailure} The path names no file. */
export function parts(path: string): { directory: string; name: string } {
  const separator = Deno.build.os === "windows" ? /[/\\]/g : /\//g;
  const at = Math.max(-1, ...[...path.matchAll(separator)].map((match) => match.index));
  const name = path.slice(at + 1);
  if (at < 0 || name === "" || name === "." || name === "..") {
    throw refused("store_irreplaceable", path || "(empty)", "names no file; give the path of a file");
  }
  return { directory: path.slice(0, at) || "/", name };
}

/** Creates what is missing, each for us alone. What exists is left as it is. */
async function createDirectories(path: string): Promise<void> {
  const there = await Deno.stat(path).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Deno.errors.NotFound) return false;
      throw notCreated(path, error);
    },
  );
  if (there) return;
  const { directory } = parts(path);
  const create = () => Deno.mkdir(path, { mode: 0o700 });
  // First this one alone: the permissions of Deno may end with it.
  const created = create().catch(async (error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await createDirectories(directory);
    await create();
  });
  await created.catch((error: unknown) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw notCreated(path, error);
  });
  // Names can be made in a directory that may not be opened.
  await syncDirectory(directory).catch((error: StoreFailure) => {
    if (error.code !== "store_denied") throw error;
  });
}

function notCreated(path: string, error: unknown): StoreFailure {
  if (!(error instanceof Deno.errors.NotCapable)) return failed("create the directory", path, error);
  const advice = "create it, or run Deno with --allow-read and --allow-write for it as well";
  return new StoreFailure("store_denied", `cannot create the directory ${path}: Deno does not allow it; ${advice}`);
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  try {
    const directory = await Deno.open(path, { read: true });
    try {
      await directory.sync();
    } finally {
      directory.close();
    }
  } catch (error) {
    const { code } = error as { code?: string };
    // Some file systems cannot, and need not.
    if (code !== "EINVAL" && code !== "ENOTSUP") throw failed("make durable", path, error);
  }
}
