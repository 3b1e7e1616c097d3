/**
 * Opened directories ("footholds") of a source. A path may suddenly lead to another object: the mount disappears and the
 * folder below it shows, or a folder is replaced by a symlink. So lookups and listings use a directory that was opened with
 * O_PATH (which sends no request to the daemon) and then checked: it has the mount's device, and no symlink led to it.
 *
 * All calls in a directory share its foothold. It is closed very soon after the last one, as it keeps the mount busy.
 */
import { close, fstat, open, readlink, type Stats } from 'node:fs';
import { TreeError, fromErrno } from './errors.ts';
import type { Lane } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import { directoryFlags, misledBy, type Misled } from './workers/survey.mjs';

export const footholdFlags: number = directoryFlags;

/** Errors of opening the directory itself, as opposed to errors of the call in it. */
const ofDirectory = new WeakSet<TreeError>();

export function markOfDirectory(error: TreeError): TreeError {
  ofDirectory.add(error);
  return error;
}

/** The error if the opened directory is not the expected one although the mount is unchanged. */
export const errorOf = (misled: Misled): TreeError => {
  if (misled === 'place') return new TreeError('notdir', 'a symlink led to another place');
  return new TreeError('down', `the path led to another ${misled === 'mount' ? 'mount' : 'filesystem'}`);
};

export const isOfDirectory = (error: TreeError): boolean => ofDirectory.has(error);

interface Foothold {
  readonly descriptor: number;
  readonly openedAt: number;
  usedAt: number;
  users: number;
  /** Not used for new calls; closed after its last user. */
  retired: boolean;
}

export interface FootholdOptions {
  /** Canonical path of the export, a byte string without a slash at its end. */
  readonly root: string;
  readonly lane: Lane;
  /** The st_dev that a directory of the mount must have; undefined if any is allowed. Called at each open. */
  readonly device: () => number | undefined;
  /** Throws `down` if an opened directory does not belong to the mount. */
  readonly checkMount: (descriptor: number, directory: string) => Promise<void>;
  /** Resolves if the mount is unchanged; throws `down` otherwise. */
  readonly confirm: () => Promise<void>;
}

export class Footholds {
  readonly #options: FootholdOptions;
  readonly #open = new Map<string, Promise<Foothold>>();
  readonly #held = new Map<string, Foothold>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FootholdOptions) {
    this.#options = options;
  }

  /**
   * Calls `work` with a path of the opened directory, such as /proc/self/fd/20. Throws `down` if the directory is not of this
   * mount, `notdir` if it is not a directory or a symlink leads to it.
   */
  async use<T>(directory: string, work: (place: string) => Promise<T>): Promise<T> {
    let foothold = this.#at(directory);
    // It may have been retired and closed before the promise resolved here.
    while (foothold instanceof Promise) {
      const opened = await foothold;
      foothold = opened.retired ? this.#at(directory) : opened;
    }
    foothold.users += 1;
    try {
      return await work(`/proc/self/fd/${foothold.descriptor}`);
    } finally {
      foothold.users -= 1;
      foothold.usedAt = performance.now();
      if (foothold.retired) this.#closeIfUnused(foothold);
    }
  }

  /** Retires all footholds: the mount has changed, or the source is closed. */
  clear(): void {
    for (const directory of [...this.#held.keys()]) this.#retire(directory);
  }

  #at(directory: string): Foothold | Promise<Foothold> {
    const held = this.#held.get(directory);
    if (held && performance.now() - held.openedAt < SourceLimits.footholdAge) return held;
    if (held) this.#retire(directory);
    let opening = this.#open.get(directory);
    if (!opening) {
      opening = this.#enter(directory)
        .catch((error: unknown) => {
          throw markOfDirectory(fromErrno(error));
        })
        .then((foothold) => this.#keep(directory, foothold))
        .finally(() => this.#open.delete(directory));
      this.#open.set(directory, opening);
    }
    return opening;
  }

  #keep(directory: string, foothold: Foothold): Foothold {
    if (this.#held.size >= SourceLimits.footholds) {
      for (const oldest of this.#held.keys()) {
        this.#retire(oldest);
        break;
      }
    }
    this.#held.set(directory, foothold);
    this.#timer ??= setInterval(() => this.#sweep(), SourceLimits.footholdIdle).unref();
    return foothold;
  }

  async #enter(directory: string): Promise<Foothold> {
    const { root, lane } = this.#options;
    const full = root + directory;
    const path = Buffer.from(full || '/', 'latin1');
    const descriptor = await lane.run<number>(directory, (done) => open(path, directoryFlags, done), {
      onLate: (late) => close(late, () => undefined),
    });
    try {
      await this.#check(descriptor, directory, full || '/');
    } catch (error) {
      close(descriptor, () => undefined);
      throw error;
    }
    const now = performance.now();
    return { descriptor, openedAt: now, usedAt: now, users: 0, retired: false };
  }

  async #check(descriptor: number, directory: string, full: string): Promise<void> {
    const { lane, device, checkMount, confirm } = this.#options;
    const [stats, reached] = await Promise.all([
      lane.run<Stats>(directory, (done) => fstat(descriptor, done)),
      lane.run<string>(directory, (done) => readlink(`/proc/self/fd/${descriptor}`, 'latin1', done)),
    ]);
    const misled = misledBy(stats.dev, device(), reached, full);
    if (misled !== 'device') await checkMount(descriptor, directory);
    if (!misled) return;
    // The path differs if the mount was detached meanwhile. If it is unchanged, a symlink led to another place.
    await confirm();
    throw errorOf(misled);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [directory, { users, usedAt }] of this.#held)
      if (users === 0 && now - usedAt >= SourceLimits.footholdIdle) this.#retire(directory);
    if (this.#held.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #retire(directory: string): void {
    const foothold = this.#held.get(directory);
    if (!foothold) return;
    this.#held.delete(directory);
    foothold.retired = true;
    this.#closeIfUnused(foothold);
  }

  /** close() of an O_PATH descriptor sends no request to the daemon, so it cannot block. */
  #closeIfUnused({ descriptor, users }: Foothold): void {
    if (users === 0) close(descriptor, () => undefined);
  }
}
