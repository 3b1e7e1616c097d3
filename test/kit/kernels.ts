/**
 * Chooses the kernels for all tests. They are ordered by age: the system's own user-mode-linux, then those of newer Debian
 * suites, which are fetched when needed. A kernel is returned only after it has booted on this machine: 6.1 and 6.12 do not
 * boot on processors with AMX; newer ones do.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { probe, type Verdict } from './kernels-boot.ts';
import { fetchedKernel, fetchKernel } from './kernels-fetch.ts';
import { KernelMemory } from './kernels-memory.ts';
import { systemCodename } from './kernels-sources.ts';
import { cacheFolder, initramfs, type Kernel } from './uml-image.ts';

export type { Kernel } from './uml-image.ts';

/** Debian suites with newer kernels than the oldest system that the tests run on, oldest first. */
const SUITES = ['trixie', 'sid'] as const;
/** Every kernel, oldest first. */
export const KERNEL_NAMES = ['system', ...SUITES] as const;
const WISHES = ['oldest', 'newest', ...KERNEL_NAMES] as const;
/** An age or a name. */
export type KernelWish = (typeof WISHES)[number];

/** Where a kernel comes from. */
export interface KernelSource {
  /** `system` or a Debian suite. */
  readonly name: string;
  /** The kernel, if it is on this machine. */
  readonly find: () => Kernel | undefined;
  /** Fetches it to this machine. */
  readonly fetch: () => Promise<Kernel>;
}

const SYSTEM_MODULES = '/usr/lib/uml/modules';

function systemKernel(): Kernel | undefined {
  if (!existsSync(SYSTEM_MODULES)) return undefined;
  const release = readdirSync(SYSTEM_MODULES).at(-1);
  return release === undefined ? undefined : { name: 'system', release, modules: SYSTEM_MODULES };
}

const fromSystem: KernelSource = {
  name: 'system',
  find: systemKernel,
  fetch: () =>
    Promise.reject(new Error('the package user-mode-linux is not installed; "npm test" installs it')),
};

function fromSuite(suite: string): KernelSource {
  // The kernel of the system's own suite is already on this machine.
  if (suite === systemCodename()) return { ...fromSystem, name: suite };
  return { name: suite, find: () => fetchedKernel(suite), fetch: () => fetchKernel(suite) };
}

interface Parts {
  /** Oldest first. */
  readonly sources: readonly KernelSource[];
  readonly memory: KernelMemory;
  readonly probe?: (kernel: Kernel) => Promise<Verdict>;
  /** The kernel's key in the memory. */
  readonly key?: (kernel: Kernel) => string;
  readonly say?: (line: string) => void;
  /** HOLDFAST_KERNEL: overrides every other wish. */
  readonly forced?: string | undefined;
}

/** `6.1.176 (system)` */
export const kernelTitle = ({ name, release }: Kernel) => `${release} (${name})`;

/**
 * From 6.10 until a fix early in 2026, cifs fails reads in flight with EAGAIN when their connection ends, even on a hard mount.
 * A killed server cannot prevent that.
 */
export function failsReadsInFlight({ release }: Kernel): boolean {
  const [major, minor] = versionOf(release);
  return major === 6 && minor >= 10;
}

/**
 * Whether cifs shows wrong bytes beyond the size that it knows, when a file has grown while it was open. Seen with 6.12 and
 * 7.2, while the answers on the wire were right.
 */
export const mistakesGrowth = (kernel: Kernel): boolean => keepsClosedFiles(kernel);

/** Whether cifs keeps a file open for a while after its last close (`closetimeo`) with a lease for reading: since 6.10. */
export function keepsClosedFiles({ release }: Kernel): boolean {
  const [major, minor] = versionOf(release);
  return major > 6 || (major === 6 && minor >= 10);
}

function versionOf(release: string): [major: number, minor: number] {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return [major, minor];
}

/** Parses a wish. Throws for any other text; `variable` is its origin, for the message. */
export function asWish(text: string, variable: string): KernelWish {
  const wish = WISHES.find((known) => known === text);
  if (wish === undefined) throw new Error(`${variable}=${text}: expected one of ${WISHES.join(', ')}`);
  return wish;
}

export class Kernels {
  readonly #sources: readonly KernelSource[];
  readonly #memory: KernelMemory;
  readonly #probe: (kernel: Kernel) => Promise<Verdict>;
  readonly #key: (kernel: Kernel) => string;
  readonly #say: (line: string) => void;
  readonly #forced: string | undefined;
  readonly #attempts = new Map<string, Promise<Kernel>>();

  constructor(parts: Parts) {
    this.#sources = parts.sources;
    this.#memory = parts.memory;
    this.#probe = parts.probe ?? probe;
    this.#key = parts.key ?? ((kernel) => `${kernel.name} ${basename(initramfs(kernel))}`);
    this.#say = parts.say ?? ((line) => process.stdout.write(`${line}\n`));
    this.#forced = parts.forced;
  }

  /**
   * Returns a kernel that boots here. Without a wish: the oldest bootable one on this machine; fetches one only if none boots.
   * Fails with the reasons of all that were tried.
   */
  async get(wish?: KernelWish): Promise<Kernel> {
    const effective = this.#forced === undefined ? wish : asWish(this.#forced, 'HOLDFAST_KERNEL');
    const passedOver: string[] = [];
    for (const source of this.#candidates(effective)) {
      try {
        const kernel = await this.#attempt(source);
        this.#tell(kernel, effective, passedOver);
        return kernel;
      } catch (error) {
        passedOver.push((error as Error).message);
      }
    }
    throw new Error(`no kernel for the client:${passedOver.map((why) => `\n  - ${why}`).join('')}`);
  }

  /** The kernels that these wishes resolve to, each once, in the order of the wishes. */
  async all(wishes: readonly KernelWish[]): Promise<Kernel[]> {
    const kernels = new Map<string, Kernel>();
    for (const wish of wishes) {
      const kernel = await this.get(wish);
      if (!kernels.has(kernel.release)) kernels.set(kernel.release, kernel);
    }
    return [...kernels.values()];
  }

  /** The kernels that `npm test` runs on. */
  async oldestAndNewest(): Promise<Kernel[]> {
    return await this.all(['oldest', 'newest']);
  }

  /** Every available kernel that boots, oldest first, each once. Prints why others are left out. */
  async every(): Promise<Kernel[]> {
    const left: KernelWish[] = [];
    for (const name of KERNEL_NAMES) {
      try {
        await this.get(name);
        left.push(name);
      } catch (error) {
        this.#news((error as Error).message);
      }
    }
    // If there is none, this fails with all reasons.
    return await this.all(left.length > 0 ? left : ['oldest']);
  }

  #candidates(wish: KernelWish | undefined): readonly KernelSource[] {
    const sources = this.#sources;
    if (wish === 'oldest') return sources;
    if (wish === 'newest') return sources.toReversed();
    if (wish !== undefined) return sources.filter(({ name }) => name === wish);
    const here = sources.filter((source) => source.find() !== undefined);
    return [...here, ...sources.filter((source) => !here.includes(source))];
  }

  #attempt(source: KernelSource): Promise<Kernel> {
    const attempt = this.#attempts.get(source.name) ?? this.#obtain(source);
    this.#attempts.set(source.name, attempt);
    return attempt;
  }

  async #obtain(source: KernelSource): Promise<Kernel> {
    const kernel = source.find() ?? (await this.#fetch(source));
    const { boots, why = '' } = await this.#judge(kernel);
    if (!boots) throw new Error(`Linux ${kernelTitle(kernel)} does not boot here: ${why}`);
    return kernel;
  }

  async #fetch({ name, fetch }: KernelSource): Promise<Kernel> {
    const key = `fetch ${name}`;
    const before = this.#memory.failure(key);
    if (before !== undefined) throw new Error(before);
    this.#news(`kernel client: fetching the kernel of Debian's ${name} from the mirror that apt uses`);
    try {
      return await fetch();
    } catch (error) {
      const why = `the kernel of Debian's ${name} cannot be fetched: ${(error as Error).message}`;
      this.#memory.rememberFailure(key, why);
      throw new Error(why, { cause: error });
    }
  }

  async #judge(kernel: Kernel): Promise<{ boots: boolean; why?: string }> {
    const key = this.#key(kernel);
    const known = this.#memory.verdict(key);
    if (known) return known;
    const before = this.#memory.failure(key);
    if (before !== undefined) return { boots: false, why: before };
    const verdict = await this.#probe(kernel);
    if (verdict.lasting) this.#memory.rememberVerdict(key, verdict);
    else this.#memory.rememberFailure(key, verdict.why ?? '');
    return verdict;
  }

  #tell(kernel: Kernel, wish: KernelWish | undefined, passedOver: readonly string[]): void {
    const why = this.#forced === undefined ? (wish ?? 'default') : `HOLDFAST_KERNEL=${this.#forced}`;
    const others = passedOver.map((reason) => `; ${reason}`).join('');
    this.#news(`kernel client (${why}): Linux ${kernelTitle(kernel)}${others}`);
  }

  #news(line: string): void {
    if (this.#memory.isNews(line)) this.#say(line);
  }
}

/** The kernels of this machine. */
export const kernels = new Kernels({
  sources: [fromSystem, ...SUITES.map(fromSuite)],
  // vitest.config.ts sets HOLDFAST_RUN, so that all processes of a run share their notes.
  memory: new KernelMemory(cacheFolder, process.env['HOLDFAST_RUN'] ?? String(process.pid)),
  forced: process.env['HOLDFAST_KERNEL'] === '' ? undefined : process.env['HOLDFAST_KERNEL'],
});

/** The kernels that `npm test` runs on, each with its title, for `describe.each`. */
export async function titledKernels(): Promise<[title: string, kernel: Kernel][]> {
  return (await kernels.oldestAndNewest()).map((kernel) => [kernelTitle(kernel), kernel]);
}
