/** The part of fuse-native 2.2.6 that the demo's tree uses. Errors are negative errno values. */
declare module 'fuse-native' {
  export interface FuseStat {
    mode: number;
    size: number;
    nlink: number;
    ino: number;
    uid: number;
    gid: number;
    blksize: number;
    blocks: number;
    mtime: number;
    atime: number;
    ctime: number;
  }

  export interface FuseStatfs {
    bsize: number;
    frsize: number;
    blocks: number;
    bfree: number;
    bavail: number;
    files: number;
    ffree: number;
    favail: number;
    namemax: number;
  }

  export interface FuseOperations {
    statfs(path: string, reply: (error: number, statfs?: FuseStatfs) => void): void;
    getattr(path: string, reply: (error: number, stat?: FuseStat) => void): void;
    fgetattr(path: string, fd: number, reply: (error: number, stat?: FuseStat) => void): void;
    readdir(path: string, reply: (error: number, names?: string[], stats?: FuseStat[]) => void): void;
    readlink(path: string, reply: (error: number, target?: string) => void): void;
    open(path: string, flags: number, reply: (error: number, fd?: number) => void): void;
    /** A positive first argument to `reply` is the number of bytes read. */
    read(
      path: string,
      fd: number,
      buffer: Buffer,
      length: number,
      position: number,
      reply: (bytesReadOrError: number) => void,
    ): void;
    release(path: string, fd: number, reply: (error: number) => void): void;
    unlink(path: string, reply: (error: number) => void): void;
    rmdir(path: string, reply: (error: number) => void): void;
  }

  export interface FuseOptions {
    /** Ms; false: no limit on the time of an operation. */
    timeout?: number | false;
    allowOther?: boolean;
    defaultPermissions?: boolean;
    fsname?: string;
    maxRead?: number;
    entryTimeout?: number;
    attrTimeout?: number;
  }

  export default class Fuse {
    constructor(mountpoint: string, operations: FuseOperations, options?: FuseOptions);
    mount(done: (error: Error | null) => void): void;
  }
}
