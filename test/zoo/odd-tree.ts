/** Starts and controls the FUSE tree of odd-tree.c, and computes the content of its files. */
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { compiled } from '../faults/compile.ts';
import { detach, type Program, type Site } from './daemon.ts';

/** As pkg-config says on Debian; the tests need no pkg-config for this. */
const FLAGS = ['-I/usr/include/fuse3', '-Wl,--no-as-needed', '-lfuse3', '-lpthread'];
const MOUNT_OPTIONS = 'allow_other,default_permissions,fsname=odd,subtype=odd';

/** The real size in bytes of the file `late.mkv`. */
export const LATE_SIZE = 300_000;

/** The bytes of every file of the tree; `offset + length` below 2^31. */
export function oddBytes(offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) {
    const at = offset + i;
    bytes[i] = (at * 31) ^ (at >> 8) ^ (at >> 16);
  }
  return bytes;
}

export type OddCommand =
  | `statfs ${'ok' | 'zero' | 'huge' | 'ENOSYS' | 'EIO' | 'EACCES'}`
  | `${'lookup' | 'open' | 'read'} ${string} ${string}`;

export class OddTree {
  readonly mountpoint: string;
  readonly #program: Program;
  readonly #answers: Interface;

  private constructor(program: Program, mountpoint: string) {
    this.#program = program;
    this.mountpoint = mountpoint;
    this.#answers = createInterface({ input: program.child.stdout! });
  }

  static async start(site: Site, mountpoint = site.mountpoint): Promise<OddTree> {
    const binary = compiled(fileURLToPath(new URL('odd-tree.c', import.meta.url)), FLAGS);
    const stdio = ['pipe', 'pipe', 'pipe'] as const;
    const program = await site.mount(binary, ['-f', '-o', MOUNT_OPTIONS, mountpoint], mountpoint, {
      stdio: [...stdio],
    });
    return new OddTree(program, mountpoint);
  }

  /** Sends a command. Resolves once the tree has executed it. */
  async tell(command: OddCommand): Promise<void> {
    const answer = await this.#ask(command);
    if (answer !== 'done') throw new Error(`${command}: ${answer}`);
  }

  /** The number of opens of a file with O_DIRECT, including refused ones. */
  async directOpens(path: string): Promise<number> {
    return Number(await this.#ask(`direct ${path}`));
  }

  async #ask(line: string): Promise<string> {
    const answer = once(this.#answers, 'line') as Promise<[string]>;
    this.#program.child.stdin!.write(`${line}\n`);
    return (await answer)[0];
  }

  async kill(): Promise<void> {
    await this.die();
    await detach(this.mountpoint);
  }

  /** Ends, and leaves its dead mount behind. */
  async die(): Promise<void> {
    await this.#program.kill();
  }

  /** Answers nothing any more. */
  hang(): void {
    this.#program.child.kill('SIGSTOP');
  }
}
