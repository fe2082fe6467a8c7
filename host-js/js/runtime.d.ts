/**
 * The parts of Deno and Node that this package uses, so that it is compiled without the types of either. Nothing of it is
 * in the public types.
 */

declare namespace Deno {
  interface FileInfo {
    isFile: boolean;
    isDirectory: boolean;
    isSymlink: boolean;
    size: number;
    mtime: Date | null;
    ctime: Date | null;
    dev: number;
    ino: number | null;
    mode: number | null;
    uid: number | null;
    nlink: number | null;
  }
  interface OpenOptions {
    read?: boolean;
    write?: boolean;
    create?: boolean;
    createNew?: boolean;
    mode?: number;
  }
  class FsFile {
    stat(): Promise<FileInfo>;
    read(into: Uint8Array): Promise<number | null>;
    write(bytes: Uint8Array): Promise<number>;
    truncate(length?: number): Promise<void>;
    sync(): Promise<void>;
    utime(access: Date, modification: Date): Promise<void>;
    tryLock(exclusive?: boolean): Promise<boolean>;
    close(): void;
  }
  function open(path: string, options?: OpenOptions): Promise<FsFile>;
  function stat(path: string): Promise<FileInfo>;
  function lstat(path: string): Promise<FileInfo>;
  function lstatSync(path: string): FileInfo;
  function readLinkSync(path: string): string;
  function realPath(path: string): Promise<string>;
  function realPathSync(path: string): string;
  function mkdir(path: string, options?: { mode?: number }): Promise<void>;
  function chmod(path: string, mode: number): Promise<void>;
  function rename(from: string, to: string): Promise<void>;
  function remove(path: string): Promise<void>;
  function cwd(): string;
  function uid(): number | null;
  function unrefTimer(timer: number): void;
  const env: { get(name: string): string | undefined };
  const build: { os: string };
  namespace errors {
    const NotFound: new () => Error;
    const AlreadyExists: new () => Error;
    const PermissionDenied: new () => Error;
    const NotCapable: new () => Error;
    const FilesystemLoop: new () => Error;
    const NotADirectory: new () => Error;
    const IsADirectory: new () => Error;
  }
}

declare module "node:child_process" {
  interface Text {
    setEncoding(name: string): this;
    on(event: "data", listener: (text: string) => void): this;
  }
  interface Child {
    stdout?: Text;
    stderr?: Text;
    stdin?: { on(event: "error", listener: () => void): { end(text: string): void } };
    on(event: "error", listener: (error: Error) => void): this;
    on(event: "close", listener: (status: number | null) => void): this;
  }
  export function spawn(command: string, parameters: string[], options: object): Child;
}
