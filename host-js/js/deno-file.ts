/**
 * The credentials file of the `kraube` command, for Deno: the same file, the same lock, the same writes as on the native
 * host. What each of them must be is in the contract `file.md` of the guide; beside this file: where the file is
 * (`deno-place.ts`).
 */
import type { Millis, Revision } from "./core.js";
import { load } from "./core.js";
import { pause } from "./drive.js";
import type { End, Place } from "./deno-place.js";
import { canonical, checkRegular, checkReplaceable, defaultPath, failed, follow, isAt, parts, place, placeOf, refused, syncDirectory } from "./deno-place.js";
import type { Guard, Store } from "./store.js";
import { StoreFailure } from "./store.js";

/** The longest that is read or written. */
const LONGEST = 1024 * 1024;

/**
 * Keeps the credentials in one file of mode 0600, with a lock file beside it (`<file>.lock`, never removed), which every
 * other `kraube` process of the machine takes as well. Locking, writing and deleting need a file of ours with one name that
 * is not mounted by itself.
 *
 * The path may be a symbolic link: what is read, locked and replaced is its target, and the link stays. Every operation
 * looks the path up anew; but while a lock of this store is held, all of them stay with the file that was locked, wherever
 * the link leads meanwhile, and `held` says no once it leads elsewhere.
 *
 * Permissions: `--allow-read` and `--allow-write` for the **directory** of the file, and where that or the file is a link, for
 * the directory that it leads to as well; `--allow-sys=uid`, and `--allow-net` for the host of the token endpoint; where the path
 * is not given, also `--allow-env=KRAUBE_CREDENTIALS_PATH,XDG_CONFIG_HOME,HOME`.
 *
 * Where the directory is missing it is created, of mode 0700, once there is something to store; one above it that is
 * missing as well has to be allowed too. A new directory is durable where Deno may read the one above it, and otherwise
 * as soon as the system writes that by itself.
 */
export class FileStore implements Store {
  readonly #path: string;
  /** The key when it could be told last. */
  #key: string;
  /** What was locked last, for as long as that lock is held. */
  #held: Place | undefined;

  private constructor(path: string) {
    this.#path = this.#key = path;
    this.#key = this.key;
  }

  /**
   * Where the path leads now; while the lock is held, what was locked, since what could not be stored yet is kept under it,
   * with the lock. It stays where it cannot be told, as while a disk fails.
   */
  get key(): string {
    try {
      this.#key = this.#held?.target ?? canonical(this.#path);
    } catch {
      // It stays.
    }
    return this.#key;
  }

  /**
   * The file at `path`, or where the command looks for it: `KRAUBE_CREDENTIALS_PATH`, else
   * `$XDG_CONFIG_HOME/kraube/credentials.json`, else `~/.config/kraube/credentials.json`. Nothing is created, and nothing has
   * to exist.
   *
   * @throws {StoreFailure} The path names no file, or the environment does not name one.
   */
  static async open(path: string = defaultPath()): Promise<FileStore> {
    const absolute = path.startsWith("/") || Deno.build.os === "windows" ? path : `${Deno.cwd()}/${path}`;
    parts(absolute);
    return new FileStore(absolute);
  }

  async lock(wait: Millis, seen: Revision | null): Promise<Guard | "changed" | "timed_out"> {
    const end = performance.now() + wait;
    const look = new Look(() => this.#follow());
    let [longest, stale] = [1, 0];
    let waiting: { at: Place; file: Deno.FsFile } | undefined;
    try {
      for (;;) {
        waiting ??= await this.#openLock();
        const { at, file } = waiting;
        if (await file.tryLock(true).catch((error: unknown) => { throw failed("lock", at.lock, error); })) {
          if (await this.#isCurrent(file)) {
            waiting = undefined;
            const now = new Date();
            await file.utime(now, now).catch(() => {});
            await at.sweep();
            this.#held = at;
            const release = () => {
              if (this.#held === at) this.#held = undefined;
              // That releases the lock; the kernel does so too when the process ends, however it ends.
              file.close();
            };
            return { release, held: () => this.#isCurrent(file) };
          }
          // The path names another file by now: whoever comes next locks that one.
          file.close();
          waiting = undefined;
          stale += 1;
          if (stale <= 8) continue;
        }
        if (seen !== null && (await look.differs(seen))) return "changed";
        const left = end - performance.now();
        if (left <= 0) return "timed_out";
        // Waiters shall not march in step.
        await pause(Math.min(left, longest * (1 - Math.random() / 2)));
        longest = Math.min(longest * 1.5, 10);
      }
    } finally {
      waiting?.file.close();
    }
  }

  async read(): Promise<Uint8Array | null> {
    const { path, meta } = this.#follow();
    if (meta === null) return null;
    // Not even opened: opening a device can do something.
    checkRegular(meta, path);
    return readFile(path);
  }

  async write(replaces: Revision | null, blob: string, reserve: number): Promise<"ok" | "conflict"> {
    const bytes = new TextEncoder().encode(blob);
    if (bytes.length > LONGEST) throw refused("store_too_large", this.#path, `would become larger than ${LONGEST} bytes`);
    const at = await place(this.#follow());
    if ((await revisionAt(at.target)) !== replaces) return "conflict";
    try {
      if (reserve > 0) {
        const room = await fresh(at.next);
        try {
          await fill(room, new Uint8Array(reserve), at.next);
        } finally {
          room.close();
        }
      }
      const room = reserve > 0 ? null : await reserved(at.next);
      const from = room === null ? at.temp : at.next;
      const done = await put(at, from, room ?? (await fresh(from)), replaces, bytes);
      if (done === "conflict" || reserve === 0) await at.sweep();
      if (done === "ok") await syncDirectory(at.directory);
      return done;
    } catch (error) {
      // The room for this write stays for the next try.
      if (reserve > 0) await at.sweep();
      else await discard(at.temp);
      throw error;
    }
  }

  async delete(replaces: Revision): Promise<"ok" | "conflict"> {
    const end = this.#follow();
    if (end.meta === null) return "conflict";
    end.checkOwner();
    const at = await placeOf(end);
    await checkReplaceable(end, at);
    if ((await revisionAt(at.target)) !== replaces) return "conflict";
    await Deno.remove(at.target).catch((error: unknown) => { throw failed("remove", at.target, error); });
    await at.sweep();
    await syncDirectory(at.directory);
    return "ok";
  }

  /**
   * Where the path leads; while the lock is held, what was locked, for as long as something is there: a file that is moved
   * meanwhile is looked for anew, lest what is to be stored in it be lost.
   */
  #follow(): End {
    const locked = this.#held && follow(this.#held.target);
    return locked?.meta ? locked : follow(this.#path);
  }

  async #openLock(): Promise<{ at: Place; file: Deno.FsFile }> {
    const at = await place(this.#follow());
    const found = await Deno.lstat(at.lock).catch(() => null);
    if (found !== null && !found.isFile) throw refused("store_irreplaceable", at.lock, "is not a regular file; remove it");
    const file = await Deno.open(at.lock, { read: true, write: true, create: true, mode: 0o600 }).catch((error: unknown) => {
      throw failed("open the lock file", at.lock, error);
    });
    return { at, file };
  }

  /** Whether this is the file that others would lock now: links are looked up anew as well. */
  async #isCurrent(file: Deno.FsFile): Promise<boolean> {
    try {
      return await isAt(file, (await placeOf(follow(this.#path))).lock);
    } catch {
      return false;
    }
  }
}

/** Sees whether something else is stored. It reads only where the file looks other than the last time. */
class Look {
  #last: string | undefined;

  constructor(readonly follow: () => End) {}

  async differs(seen: Revision): Promise<boolean> {
    try {
      const { path, meta } = this.follow();
      const look = meta === null ? "" : [meta.dev, meta.ino, meta.size, meta.mtime?.getTime(), meta.ctime?.getTime()].join();
      if (look === this.#last) return false;
      this.#last = look;
      return (await revisionAt(path)) !== seen;
    } catch {
      return false;
    }
  }
}

async function readFile(path: string): Promise<Uint8Array | null> {
  const file = await Deno.open(path, { read: true }).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw failed("read", path, error);
  });
  if (file === null) return null;
  try {
    const meta = await file.stat();
    checkRegular(meta, path);
    const bytes = new Uint8Array(Math.min(meta.size, LONGEST) + 1);
    let length = 0;
    for (let read: number | null; length < bytes.length && (read = await file.read(bytes.subarray(length))) !== null; ) {
      length += read;
    }
    if (length > LONGEST) throw refused("store_too_large", path, `is larger than ${LONGEST} bytes, so it holds no credentials; move it away`);
    return bytes.slice(0, length);
  } catch (error) {
    throw error instanceof StoreFailure ? error : failed("read", path, error);
  } finally {
    file.close();
  }
}

/** The revision of what is at this very path. */
async function revisionAt(path: string): Promise<Revision | null> {
  const core = await load();
  const blob = await readFile(path);
  return blob === null ? null : core.revision(blob);
}

/**
 * Fills the file at `path` and renames it onto the target. A foreign program that writes between the comparison and the
 * rename is not noticed.
 */
async function put(at: Place, path: string, file: Deno.FsFile, replaces: Revision | null, bytes: Uint8Array) {
  try {
    await fill(file, bytes, path);
    if ((await revisionAt(at.target)) !== replaces) return "conflict";
    // Where the lock file was deleted, a second holder may have put a file of its own under this name.
    if (!(await isAt(file, path))) throw refused("store_io", path, "was replaced by another process");
  } finally {
    file.close();
  }
  await Deno.rename(path, at.target).catch((error: unknown) => { throw failed("rename", path, error); });
  return "ok";
}

/** Writes from the beginning, within the blocks that the file has, and makes it durable. */
async function fill(file: Deno.FsFile, bytes: Uint8Array, path: string): Promise<void> {
  try {
    for (let written = 0; written < bytes.length; ) written += await file.write(bytes.subarray(written));
    await file.truncate(bytes.length);
    await file.sync();
  } catch (error) {
    throw failed("write", path, error);
  }
}

/** A new, empty file of mode 0600, whatever was there. */
async function fresh(path: string): Promise<Deno.FsFile> {
  try {
    await discard(path);
    const file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
    try {
      // The umask can take bits away, an inherited access list can add some.
      if (Deno.build.os !== "windows") await Deno.chmod(path, 0o600);
    } catch (error) {
      file.close();
      throw error;
    }
    return file;
  } catch (error) {
    throw failed("create", path, error);
  }
}

/** The file that was set aside for this write, if it is just what we would have created. */
async function reserved(path: string): Promise<Deno.FsFile | null> {
  try {
    const meta = await Deno.lstat(path);
    const private_ = meta.mode === null || (meta.mode & 0o7777) === 0o600;
    const ours = meta.uid === null || meta.uid === Deno.uid();
    if (!meta.isFile || !private_ || !ours || (meta.nlink ?? 1) > 1) return null;
    const file = await Deno.open(path, { write: true });
    if (await isAt(file, path).catch(() => false)) return file;
    file.close();
    return null;
  } catch {
    return null;
  }
}

/** Removes a file, if it is there. */
async function discard(path: string): Promise<void> {
  await Deno.remove(path).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
