/**
 * Makes the lookups and listings of one mount by workers. One request opens and checks a directory and returns everything that is
 * needed of it. Methods return undefined if no worker is available or if the lanes are faster: then the caller uses the lanes.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { TreeError, fromErrno } from './errors.ts';
import { errorOf, markOfDirectory } from './footholds.ts';
import { SourceLimits } from './limits.ts';
import type { Found, RawAttributes, RawListing } from './raw.ts';
import { Outcome, readAttributes } from './workers/columns.mjs';
import { entriesMost } from './workers/memory.mjs';
import type { Finding, Owner, Workers } from './workers/pool.ts';
import { kinds, type Names, type Reply, type Request } from './workers/survey.mjs';

export interface SurveysOptions {
  readonly root: string;
  readonly pool: Workers;
  /** Milliseconds. */
  readonly deadline: number;
  readonly device: () => number | undefined;
  readonly mountId: () => number | undefined;
  /** Resolves if the mount is unchanged; throws `down` otherwise. */
  readonly confirm: () => Promise<void>;
}

/** A request without the fields that are the same for the whole mount. */
type Question = Omit<Request, 'root' | 'device' | 'mountId'>;

export interface FindOptions {
  /** Whether to list the object if it is a directory, and whether to look up its entries as well. */
  readonly list: boolean;
  readonly looks: boolean;
  readonly onLate: () => void;
}

/** A result, copied out of the shared memory. */
interface Taken {
  readonly reply: Reply;
  readonly attributes: RawAttributes | undefined;
  readonly isAbsent: boolean;
  readonly listing: RawListing | undefined;
}

export class Surveys {
  readonly #options: SurveysOptions;
  readonly #owner: Owner = { aside: 0 };
  /** Entries on which a worker hangs now: lookups of these use the lanes. */
  readonly #hanging = new Set<string>();
  /** Number of slow lookups in a row. */
  #slow = 0;
  /** performance.now() until which only the lanes are used. */
  #slowUntil = Number.NEGATIVE_INFINITY;

  constructor(options: SurveysOptions) {
    this.#options = options;
  }

  /** Attributes of a name in a directory; '.' is the directory itself. */
  async lookAt(directory: string, name: string, onLate?: () => void): Promise<RawAttributes | undefined> {
    if (this.#isSlow || this.#hangsOn(directory, name)) return undefined;
    const taken = await this.#ask({ directory, object: name }, (finding) => this.#takeFound(finding), onLate);
    return taken && (await this.#attributes(taken));
  }

  /** Attributes of a name in a directory, and its listing if it is a directory. */
  async find(directory: string, name: string, options: FindOptions): Promise<Found | undefined> {
    if (this.#isSlow || this.#hangsOn(directory, name)) return undefined;
    const { list, looks, onLate } = options;
    const request = { directory, object: name, list, looks };
    const taken = await this.#ask(request, (finding) => this.#takeFound(finding), onLate);
    const attributes = taken && (await this.#attributes(taken));
    return attributes && { attributes, listing: taken.listing };
  }

  /**
   * The listing of a directory; 'same' if its digest is `digest`.
   * @param looks whether to look up the entries as well, if there are at most `entriesMost`.
   */
  async list(
    directory: string,
    digest: string | undefined,
    looks: boolean,
    onLate: () => void,
  ): Promise<RawListing | 'same' | undefined> {
    const request = { directory, list: true, looks: looks && !this.#isSlow, ...(digest && { digest }) };
    const taken = await this.#ask(request, takeListing, onLate);
    if (!taken) return undefined;
    await this.#check(taken.reply);
    if (taken.reply.isSame) return 'same';
    const { names, digest: found } = taken.reply;
    return names ? { ...(await unpackSliced(names)), digest: found } : taken.listing;
  }

  /**
   * Attributes of names in a directory, in order. Undefined for a name whose lookup failed or hangs. The array may be shorter
   * than `names`.
   */
  async lookAtAll(
    directory: string,
    names: readonly string[],
  ): Promise<readonly (RawAttributes | undefined)[] | undefined> {
    if (this.#isSlow) return undefined;
    const all: (RawAttributes | undefined)[] = [];
    while (all.length < names.length) {
      if (this.#hangsOn(directory, names[all.length]!)) {
        all.push(undefined);
        continue;
      }
      const some = names.slice(all.length, all.length + entriesMost);
      const answer = await this.#ask({ directory, names: some }, (finding) => this.#takeLooks(finding));
      if (!answer) break;
      const { found, isOver } = answer;
      all.push(...found);
      if (found.length === some.length) continue;
      if (isOver) break;
      // The lookup of the next name hangs: ask another worker for the rest.
      all.push(undefined);
    }
    return all;
  }

  /** Rejects the queued requests: they would only wait behind hung ones. */
  dismiss(error: TreeError): void {
    this.#options.pool.dismiss(this.#owner, error);
  }

  #hangsOn(directory: string, name: string): boolean {
    return this.#hanging.size > 0 && this.#hanging.has(`${directory}/${name}`);
  }

  get #isSlow(): boolean {
    return performance.now() < this.#slowUntil;
  }

  async #ask<T>(
    request: Question,
    take: (finding: Finding) => T,
    onLate?: () => void,
  ): Promise<T | undefined> {
    const { root, pool, deadline, device, mountId } = this.#options;
    let hung: string | undefined;
    const begun = performance.now();
    const answer = await pool.run(
      { root, device: device(), mountId: mountId(), ...request },
      {
        owner: this.#owner,
        deadline,
        take: (finding) => {
          hung = finding.isCut ? hangingIn(finding, request) : undefined;
          if (hung !== undefined) this.#hanging.add(hung);
          return take(finding);
        },
        onLate: (isWell) => {
          if (hung !== undefined) this.#hanging.delete(hung);
          else if (isWell) onLate?.();
        },
      },
    );
    // The wait for a worker was in vain: use the lanes for a while.
    const now = performance.now();
    if (answer === undefined && now - begun > SourceLimits.slowLook)
      this.#slowUntil = now + SourceLimits.slowLooksFor;
    return answer;
  }

  /** Throws the error of a reply, if any. */
  async #check({ failure, failed, misled }: Reply): Promise<void> {
    if (misled) {
      await this.#options.confirm().catch((error: unknown) => {
        throw markOfDirectory(fromErrno(error));
      });
      throw markOfDirectory(errorOf(misled));
    }
    if (!failure) return;
    const error = fromErrno(failure);
    throw failed === 'directory' ? markOfDirectory(error) : error;
  }

  /** The attributes, even if the listing failed: a caller that needs the listing requests it again. */
  async #attributes({ reply, attributes, isAbsent }: Taken): Promise<RawAttributes> {
    if (attributes) return attributes;
    await this.#check(reply);
    if (isAbsent) throw new TreeError('noent', 'no such name');
    throw new TreeError('down', 'the path led to another filesystem');
  }

  #takeFound(finding: Finding): Taken {
    const { columns } = finding.views;
    if (finding.listed < 0 && finding.reply.took !== undefined) this.#time(finding.reply.took);
    return {
      ...takeListing(finding),
      attributes: readAttributes(columns, 0),
      isAbsent: columns[0] === Outcome.absent,
    };
  }

  #takeLooks({ views, reply, looked, isCut }: Finding): {
    found: (RawAttributes | undefined)[];
    isOver: boolean;
  } {
    if (reply.isSlow) this.#slowUntil = performance.now() + SourceLimits.slowLooksFor;
    return { found: attributesOf(views.columns, looked), isOver: !isCut };
  }

  #time(took: number): void {
    this.#slow = took < SourceLimits.slowLook ? 0 : this.#slow + 1;
    if (this.#slow >= SourceLimits.slowLooks) this.#slowUntil = performance.now() + SourceLimits.slowLooksFor;
  }
}

/** Path of the entry on which the worker hangs; undefined if it hangs on the listing. */
function hangingIn({ views, listed, looked }: Finding, request: Question): string | undefined {
  const { directory, object = '.', names } = request;
  if (names) return `${directory}/${names[looked]!}`;
  if (listed < 0) return undefined;
  const all: Unpacked = { names: [], kinds: [] };
  unpack(views, all, 0, listed, 0);
  return `${directory}${object === '.' ? '' : `/${object}`}/${all.names[looked]!}`;
}

function attributesOf(columns: Float64Array, looked: number): (RawAttributes | undefined)[] {
  const all: (RawAttributes | undefined)[] = [];
  for (let i = 1; i <= looked; i++) all.push(readAttributes(columns, i));
  return all;
}

function takeListing({ views, reply, listed, looked }: Finding): Taken {
  const taken = { reply, attributes: undefined, isAbsent: false };
  if (listed < 0) return { ...taken, listing: undefined };
  const all: RawListing = { names: [], kinds: [] };
  unpack(views, all as Unpacked, 0, listed, 0);
  return {
    ...taken,
    listing: { ...all, attributes: attributesOf(views.columns, looked), digest: reply.digest },
  };
}

interface Unpacked {
  readonly names: string[];
  readonly kinds: RawListing['kinds'][number][];
}

/** Unpacks the entries from..to, whose names begin at byte `at`. Returns the byte after the last name. */
function unpack(packed: Names, into: Unpacked, from: number, to: number, at: number): number {
  const bytes = packed.names as Buffer;
  for (let i = from; i < to; i++) {
    const end = at + packed.lengths[i]!;
    into.names.push(bytes.toString('latin1', at, end));
    into.kinds.push(kinds[packed.kinds[i]!]!);
    at = end;
  }
  return at;
}

/** Entries unpacked before the event loop gets a turn: about a millisecond. */
const slice = 4_096;

async function unpackSliced(packed: Names): Promise<RawListing> {
  const { names, lengths } = packed;
  const view = { ...packed, names: Buffer.from(names.buffer, names.byteOffset, names.byteLength) };
  const all: Unpacked = { names: [], kinds: [] };
  for (let at = 0, from = 0; from < lengths.length; from += slice) {
    at = unpack(view, all, from, Math.min(lengths.length, from + slice), at);
    await turn();
  }
  return all;
}
