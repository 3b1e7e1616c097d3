/**
 * The mounts of one export: the one at its root, and those below it. Each has its own state (mounted.ts). This class finds the
 * mount of a path and decides which mounts are expected: the folders under an expected mount are never served.
 */
import { SourceLimits } from './limits.ts';
import type { MountTable } from './mount-table.ts';
import type { Mounted } from './mounted.ts';
import type { PartChange, StateListener } from './raw.ts';
import type { Expectation } from './watch.ts';

/** The arguments for a new mount of the set. */
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
  /** Mounts in the configuration: always expected. */
  readonly listed: readonly string[];
  /** Mounts that an earlier run has seen. */
  readonly seen: readonly string[];
  readonly make: (parts: MountParts) => Mounted;
  readonly onChange: (change: PartChange) => void;
  /** Called when the list of expected or of seen mounts has changed. */
  readonly onMounts: () => void;
  /** Called when a mount is expected from now on at a place where other things may have been seen. */
  readonly onNew: (base: string) => void;
}

/** Why a mount was not forgotten: `mounted`: it is present. `listed`: the configuration has it. `unknown`: not expected. */
export type ForgetOutcome = 'forgotten' | 'mounted' | 'listed' | 'unknown';

export class MountSet {
  readonly main: Mounted;
  readonly #options: MountSetOptions;
  readonly #inner = new Map<string, Mounted>();
  #listed: ReadonlySet<string>;
  /** Mounts that have answered, in this run or an earlier one. '': a mount at the root, which may be a plain folder. */
  readonly #seen: Set<string>;
  /** Mounts of single files: path and mount id. They are served as part of the mount around them. */
  readonly #files = new Map<string, number>();
  /** By directory: names of entries that must exist, as a mount is expected at or below them. */
  readonly #names = new Map<string, Set<string>>();
  /** Cache for `of`. */
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

  /** Checks every mount once. */
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

  /** Names that the directory must contain, as mounts are expected at or below them. */
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

  /** Applies a new list from the configuration. Mounts that are neither listed nor present are no longer expected. */
  expect(listed: readonly string[], keepsSeen: boolean): void {
    this.#listed = new Set(listed);
    for (const [base, mounted] of this.#inner) {
      const stays = this.#listed.has(base) || mounted.watch.mount || (keepsSeen && this.#seen.has(base));
      if (stays) continue;
      this.#seen.delete(base);
      this.#drop(base, mounted);
    }
    const added = listed.filter((base) => base !== '' && !this.#inner.has(base));
    for (const base of added) void this.#add(base).look();
    this.#renew();
    for (const base of added) this.#options.onNew(base);
  }

  /** Stops expecting a mount that will not come back. */
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
    // A mount exactly at the root of a plain folder is expected from now on.
    const added: string[] = [];
    if (watch.expectation === 'plain' && root !== '' && table.at(root)?.mountpoint === root) {
      watch.expect('mount');
      added.push('');
    }
    const present = new Map(
      table.below(root || '/').map((mount) => [mount.mountpoint.slice(root.length), mount.id]),
    );
    for (const [base, id] of this.#files) if (present.get(base) !== id) this.#files.delete(base);
    let changed = false;
    for (const [base, mounted] of this.#inner) {
      // A mount that disappeared before its first answer is not expected.
      if (present.has(base) || this.#listed.has(base) || this.#seen.has(base)) continue;
      this.#drop(base, mounted);
      changed = true;
    }
    for (const [base, id] of present) {
      if (this.#inner.has(base) || this.#files.has(base) || this.#inner.size >= SourceLimits.mounts) continue;
      void this.#lookAtNew(base, id);
      added.push(base);
      changed = true;
    }
    if (changed) this.#renew();
    for (const base of added) this.#options.onNew(base);
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
    this.#options.onChange({ base, state, epoch, reason: 'the mount is no longer expected' });
  }

  /** Updates what depends on the set of expected mounts. */
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

  /** Checks all mounts in parallel. */
  async #lookAtAll(): Promise<void> {
    await Promise.all([...this.all()].map((mounted) => mounted.look()));
  }
}
