/** A folder of this machine, read as the gateway reads it: with O_DIRECT, past the page cache, if the filesystem allows it. */
import { constants, open, lstat, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Entry, Subject } from './subject.ts';

export class LocalFolder implements Subject {
  readonly #root: string;
  readonly #open = new Map<string, Promise<FileHandle>>();
  #direct = true;

  constructor(root: string) {
    this.#root = root;
  }

  async list(path: string): Promise<Entry[]> {
    const entries = await readdir(join(this.#root, path), { withFileTypes: true });
    return entries.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory(), size: 0 }));
  }

  async look(path: string): Promise<number> {
    const stats = await lstat(join(this.#root, path));
    return stats.isFile() ? stats.size : 0;
  }

  async read(path: string, offset: number, length: number): Promise<number> {
    try {
      return await this.#readOnce(path, offset, length);
    } catch (error) {
      // Disk filesystems require aligned memory for O_DIRECT; FUSE does not. Read through the page cache instead.
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL' || !this.#direct) throw error;
      this.#direct = false;
      await this.close();
      return await this.#readOnce(path, offset, length);
    }
  }

  async #readOnce(path: string, offset: number, length: number): Promise<number> {
    const handle = await this.#handle(path);
    const { bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, offset);
    return bytesRead;
  }

  async done(path: string): Promise<void> {
    const handle = this.#open.get(path);
    this.#open.delete(path);
    await (await handle)?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((path) => this.done(path)));
  }

  #handle(path: string): Promise<FileHandle> {
    let handle = this.#open.get(path);
    if (!handle) {
      const full = join(this.#root, path);
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
      handle = this.#direct
        ? open(full, flags | constants.O_DIRECT).catch(() => open(full, flags))
        : open(full, flags);
      this.#open.set(path, handle);
    }
    return handle;
  }
}
