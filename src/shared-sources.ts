/** The sources of a gateway. Exports of one and the same tree under several names share one. */
import type { ExportConfig } from './config/index.ts';
import { Source } from './source/source.ts';
import type { KnownMounts } from './state/known-mounts.ts';
import { fromText } from './tree/names.ts';

/** Exports with the same key are of one tree. */
const keyOf = ({ path, expectFuse, readDeadline, verdict, idleClose }: ExportConfig): string =>
  JSON.stringify([path, expectFuse, readDeadline, verdict, idleClose]);

/** Where a mount is, as sources name it. @param name as configured, such as `torrents` or `a/b`; empty for the root. */
export const placeOf = (name: string): string => {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.map((part) => `/${fromText(part)}`).join('');
};

interface Shared {
  readonly source: Source;
  readonly started: Promise<void>;
  exports: readonly ExportConfig[];
  users: number;
}

export class SharedSources {
  readonly #known: KnownMounts | undefined;
  readonly #all = new Map<string, Shared>();
  /** What is to be served, by the key of the source. */
  #planned = new Map<string, ExportConfig[]>();

  constructor(known: KnownMounts | undefined) {
    this.#known = known;
  }

  /** Says which exports there are from now on, before the source of a new one is asked for. */
  plan(configs: readonly ExportConfig[]): void {
    this.#planned = new Map();
    for (const config of configs) {
      const key = keyOf(config);
      const sharing = this.#planned.get(key) ?? [];
      this.#planned.set(key, [...sharing, config]);
    }
    for (const [key, exports] of this.#planned) {
      const shared = this.#all.get(key);
      if (!shared) continue;
      shared.exports = exports;
      shared.source.expect(listedIn(exports), exports.some(isAuto));
      this.#save(shared);
    }
  }

  /** The source of an export, and when it has been looked at once. Every call is to be followed by a `release`. */
  acquire(config: ExportConfig): Pick<Shared, 'source' | 'started'> {
    const key = keyOf(config);
    let shared = this.#all.get(key);
    if (!shared) this.#all.set(key, (shared = this.#make(config, this.#planned.get(key) ?? [config])));
    shared.users += 1;
    return shared;
  }

  /** Closes it when nobody else uses it. */
  release(source: Source): void {
    for (const [key, shared] of this.#all) {
      if (shared.source !== source) continue;
      shared.users -= 1;
      if (shared.users > 0) return;
      this.#all.delete(key);
      source.close();
    }
  }

  /** A thread that is lent to one source must not be missing for another. */
  share(): void {
    for (const { source } of this.#all.values()) source.share(this.#planned.size);
  }

  #make(config: ExportConfig, exports: readonly ExportConfig[]): Shared {
    const { path, expectFuse, readDeadline, verdict, idleClose } = config;
    const seen = exports.filter(isAuto).flatMap(({ name }) => this.#known?.read(name, path) ?? []);
    const source = new Source({
      path,
      expectFuse,
      expected: listedIn(exports),
      seen: [...new Set(seen)],
      readDeadline,
      verdict,
      idleClose,
      exports: this.#planned.size,
    });
    const shared: Shared = { source, started: source.start(), exports, users: 0 };
    source.onMounts(() => this.#save(shared));
    return shared;
  }

  #save({ source, exports }: Shared): void {
    for (const { name, path } of exports) void this.#known?.save(name, path, source.seenMounts);
  }
}

const isAuto = ({ mounts }: ExportConfig): boolean => mounts === 'auto';

const listedIn = (exports: readonly ExportConfig[]): string[] => [
  ...new Set(exports.flatMap(({ mounts }) => (mounts === 'auto' ? [] : mounts.map(placeOf)))),
];
