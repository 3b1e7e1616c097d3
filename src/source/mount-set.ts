/**
 * The mounts of one export: what lies at its root, and whatever is mounted below it. Each is a source of its own; here a path
 * finds the one that it lies in, and here is decided which mounts are expected, so that what lies under them is never served.
 */
import { SourceLimits } from './limits.ts';
import type { MountTable } from './mount-table.ts';
import type { Mounted } from './mounted.ts';
import type { PartChange, StateListener } from './raw.ts';
import type { Expectation } from './watch.ts';

/** What a mount of the set is made with. */
export interface MountParts {
  readonly base: string;
  readonly expect: Expectation;
  readonly onState: StateListener;
  readonly onTable?: (table: MountTable) => void;
  readonly isFileMount: (path: string) => boolean;
}

export interface MountSetOptions {
  /** Canonical path of the export, a byte string without a slash at its end. */
  readonly root: string;
  readonly expect: 'fuse' | 'plain';
  /** Mounts that are expected from the start, and stay so: by configuration. */
  readonly listed: readonly string[];
  /** Mounts that an earlier run has seen. */
  readonly seen: readonly string[];
  readonly make: (parts: MountParts) => Mounted;
  readonly onChange: (change: PartChange) => void;
  /** Called when other mounts are expected, or other ones were seen, than before. */
  readonly onMounts: () => void;
}

/** `mounted`: it is there. `listed`: the configuration names it. `unknown`: it is not expected. */
export type ForgetOutcome = 'forgotten' | 'mounted' | 'listed' | 'unknown';

export class MountSet {
  readonly main: Mounted;
  readonly #options: MountSetOptions;
  readonly #inner = new Map<string, Mounted>();
  #listed: ReadonlySet<string>;
  /** Those that have answered, in this run or an earlier one. '' is a mount at the root of a folder that may be plain. */
  readonly #seen: Set<string>;
  /** Files on which a file is mounted, and the ids of those mounts. They belong to what is around them. */
  readonly #files = new Map<string, number>();
  /** Entries that must be there, since a mount is expected at or below them: by directory. */
  readonly #names = new Map<string, Set<string>>();
  /** Remembered answers of `of`; a path's string keeps its hash. */
  readonly #byPath = new Map<string, Mounted>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: MountSetOptions) {
    this.#options = options;
    this.#listed = new Set(options.listed);
    this.#seen = new Set(options.seen);
    const isMount = options.expect === 'plain' && this.#seen.has('');
    this.main = this.#make('', isMount ? 'mount' : options.expect, (table) => this.#discover(table));
    for (const base of [...this.#listed, ...this.#seen]) if (base !== '') this.#add(base);
    this.#renew();
    this.#timer = setInterval(() => void this.#lookAtAll(), SourceLimits.watchInterval).unref();
  }

  /** Looks at every mount once. */
  async start(): Promise<void> {
    await this.main.look();
    await this.#lookAtAll();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const mounted of this.all()) mounted.close();
  }

  *all(): Generator<Mounted> {
    yield this.main;
    yield* this.#inner.values();
  }

  get size(): number {
    return 1 + this.#inner.size;
  }

  /** The mounts that have answered, for a later run. */
  get seen(): string[] {
    return [...this.#seen].sort();
  }

  /** The mount in which a path lies. */
  of(path: string): Mounted {
    if (this.#inner.size === 0) return this.main;
    let found = this.#byPath.get(path);
    if (!found) {
      found = this.#find(path);
      if (this.#byPath.size >= SourceLimits.standings) this.#byPath.clear();
      this.#byPath.set(path, found);
    }
    return found;
  }

  #find(path: string): Mounted {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const found = this.#inner.get(path.slice(0, end));
      if (found) return found;
    }
    return this.main;
  }

  /** Names that a directory must have, since mounts are expected at or below them. */
  namesIn(directory: string): ReadonlySet<string> | undefined {
    return this.#names.get(directory);
  }

  /** Whether a mount is expected at the path or below it. */
  holds(path: string): boolean {
    const slash = path.lastIndexOf('/');
    return slash < 0 || this.#names.get(path.slice(0, slash))?.has(path.slice(slash + 1)) === true;
  }

  /** The place of the first mount that is expected below a path. */
  baseBelow(path: string): string | undefined {
    for (const base of this.#inner.keys()) if (base.startsWith(`${path}/`)) return base;
    return undefined;
  }

  // -- Which are expected --------------------------------------------------------------------------------------------------

  /** Another list of the configuration: what it does not name, and what is not mounted now, is not expected any more. */
  expect(listed: readonly string[], keepsSeen: boolean): void {
    this.#listed = new Set(listed);
    for (const [base, mounted] of this.#inner) {
      const stays = this.#listed.has(base) || mounted.watch.mount || (keepsSeen && this.#seen.has(base));
      if (!stays) this.#drop(base, mounted);
    }
    for (const base of listed) if (!this.#inner.has(base)) void this.#add(base).look();
    this.#renew();
  }

  /** A mount that has gone for good. */
  forget(base: string): ForgetOutcome {
    const mounted = base === '' ? this.main : this.#inner.get(base);
    if (mounted?.watch.expectation !== 'mount') return 'unknown';
    if (this.#listed.has(base)) return 'listed';
    if (mounted.watch.mount) return 'mounted';
    this.#seen.delete(base);
    if (mounted === this.main) {
      mounted.watch.expect('plain');
      void mounted.look();
    } else this.#drop(base, mounted);
    this.#renew();
    return 'forgotten';
  }

  #discover(table: MountTable): void {
    const { root } = this.#options;
    const { watch } = this.main;
    // What is mounted at the very root is expected like any other.
    if (watch.expectation === 'plain' && root !== '' && table.at(root)?.mountpoint === root)
      watch.expect('mount');
    const present = new Map(
      table.below(root || '/').map((mount) => [mount.mountpoint.slice(root.length), mount.id]),
    );
    for (const [base, id] of this.#files) if (present.get(base) !== id) this.#files.delete(base);
    let changed = false;
    for (const [base, mounted] of this.#inner) {
      // One that came and went without an answer was never seen.
      if (present.has(base) || this.#listed.has(base) || this.#seen.has(base)) continue;
      this.#drop(base, mounted);
      changed = true;
    }
    for (const [base, id] of present) {
      if (this.#inner.has(base) || this.#files.has(base) || this.#inner.size >= SourceLimits.mounts) continue;
      void this.#lookAtNew(base, id);
      changed = true;
    }
    if (changed) this.#renew();
  }

  async #lookAtNew(base: string, id: number): Promise<void> {
    const mounted = this.#add(base);
    await mounted.look();
    if (mounted.watch.failure !== 'notdir' || this.#inner.get(base) !== mounted) return;
    this.#files.set(base, id);
    this.#drop(base, mounted);
    this.#renew();
  }

  #add(base: string): Mounted {
    const mounted = this.#make(base, 'mount');
    this.#inner.set(base, mounted);
    return mounted;
  }

  #drop(base: string, mounted: Mounted): void {
    this.#inner.delete(base);
    this.#byPath.clear();
    mounted.close();
    const { state, epoch } = this.of(base);
    this.#options.onChange({ base, state, epoch, reason: 'no mount is expected there any more' });
  }

  /** Others are expected now. */
  #renew(): void {
    this.#byPath.clear();
    this.#names.clear();
    for (const base of this.#inner.keys()) {
      for (let end = base.length; end > 0; end = base.lastIndexOf('/', end - 1)) {
        const slash = base.lastIndexOf('/', end - 1);
        const directory = base.slice(0, slash);
        const names = this.#names.get(directory) ?? new Set();
        this.#names.set(directory, names.add(base.slice(slash + 1, end)));
      }
    }
    this.#options.onMounts();
  }

  #make(base: string, expect: Expectation, onTable?: (table: MountTable) => void): Mounted {
    const mounted: Mounted = this.#options.make({
      base,
      expect,
      isFileMount: (path) => this.#files.has(path),
      onState: (state, epoch, reason) => {
        const isNew = state === 'live' && mounted.watch.expectation === 'mount' && !this.#seen.has(base);
        if (isNew) this.#seen.add(base);
        this.#options.onChange({ base, state, epoch, reason });
        if (isNew) this.#options.onMounts();
      },
      ...(onTable && { onTable }),
    });
    return mounted;
  }

  /** Each by itself: one that hangs keeps no other from being looked at. */
  async #lookAtAll(): Promise<void> {
    await Promise.all([...this.all()].map((mounted) => mounted.look()));
  }
}
