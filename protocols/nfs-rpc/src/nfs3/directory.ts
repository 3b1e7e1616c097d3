import {
  type Awaitable,
  type DirectoryListing,
  type FileAttributes,
  type Fileid,
  FileType,
  NfsError,
} from '../backend.ts';
import { chain } from '../rpc/awaitable.ts';
import type { ReplyWriter } from '../rpc/reply.ts';
import { NfsStatus } from '../status.ts';
import { padding } from '../xdr/reader.ts';
import type { Operation } from './operation.ts';
import { putPostOpAttr } from './wire.ts';

/** Cookies of `.` and `..`. The cookies of a listing begin at 3. */
const SELF_COOKIE = 1;
const PARENT_COOKIE = 2;

/**
 * cookieverf3: constant, and any value from a client is accepted. Cookies stay valid for as long as the directory
 * exists, and a second BAD_COOKIE makes Linux end the listing early without an error.
 */
const COOKIE_VERIFIER = Buffer.from('holdfast', 'latin1');

/** Where a READDIR or READDIRPLUS continues. */
export interface Cursor<N> {
  readonly directory: N;
  readonly attributes: FileAttributes;
  readonly parent: N;
  readonly listing: DirectoryListing<N>;
  /** Dot entries already sent. 0: continue with `.`, 1: with `..`, 2: with the entry at `index`. */
  readonly dots: number;
  readonly index: number;
}

export function openDirectory<N>(
  operation: Operation<N>,
  handle: Buffer,
  cookie: number,
): Awaitable<Cursor<N>> {
  const { backend, call } = operation;
  return chain(operation.resolve(handle), (directory) =>
    chain(backend.getAttributes(directory, call), (attributes) => {
      if (attributes.type !== FileType.directory) throw new NfsError(NfsStatus.NOTDIR);
      return chain(backend.list(directory, call), (listing) => ({
        directory,
        attributes,
        parent: backend.parent(directory),
        listing,
        dots: Math.min(cookie, 2),
        index: startIndex(listing, cookie),
      }));
    }),
  );
}

function startIndex<N>(listing: DirectoryListing<N>, cookie: number): number {
  if (cookie <= PARENT_COOKIE) return 0;
  return cookie > Number.MAX_SAFE_INTEGER ? listing.length : listing.after(cookie);
}

/** Bytes of fileid, name and cookie, which dircount of READDIRPLUS limits. */
export const entryInformation = (name: string): number => 20 + name.length + padding(name.length);
/** Size of the flag that another entry follows. */
const FOLLOWS_SIZE = 4;
/** Size of the flag that no entry follows, and of eof. */
const TAIL_SIZE = 8;

/** Writes the results of READDIR or READDIRPLUS, within the byte limit of the client. */
export class PageWriter {
  readonly reply: ReplyWriter;
  readonly #limit: number;
  #entries = 0;

  /** @param maximum bytes of READDIR3resok or READDIRPLUS3resok. Throws NfsError TOOSMALL when not even an empty page fits. */
  constructor(reply: ReplyWriter, attributes: FileAttributes | undefined, maximum: number) {
    this.reply = reply;
    reply.uint32(NfsStatus.OK);
    this.#limit = reply.offset + maximum - TAIL_SIZE;
    putPostOpAttr(reply, attributes);
    reply.fixedOpaque(COOKIE_VERIFIER);
    if (reply.offset > this.#limit) throw new NfsError(NfsStatus.TOOSMALL);
  }

  /** Bytes left for entries. */
  get room(): number {
    return this.#limit - this.reply.offset;
  }

  /** Writes entries that were encoded before. */
  encoded(bytes: Buffer): void {
    this.#entries++;
    this.reply.fixedOpaque(bytes);
  }

  /** Whether the entry fits, with `extra` bytes after its cookie. */
  fits(name: string, extra: number): boolean {
    return this.reply.offset + FOLLOWS_SIZE + entryInformation(name) + extra <= this.#limit;
  }

  /** Writes entry3, or the part of entryplus3 that is the same. */
  entry(fileidHigh: number, fileidLow: number, name: string, cookie: number): void {
    this.#entries++;
    const { reply } = this;
    reply.bool(true);
    reply.uint32(fileidHigh);
    reply.uint32(fileidLow);
    reply.byteString(name);
    reply.uint64Number(cookie);
  }

  /** @throws NfsError TOOSMALL when entries are left but none fitted. */
  finish(eof: boolean): ReplyWriter {
    if (this.#entries === 0 && !eof) throw new NfsError(NfsStatus.TOOSMALL);
    this.reply.bool(false);
    this.reply.bool(eof);
    return this.reply;
  }
}

/** `.` or `..`, which are not in the listing. */
export interface DotEntry<N> {
  readonly name: string;
  readonly cookie: number;
  readonly node: N;
  readonly fileid: Fileid;
}

/** Returns those of `.` and `..` that are still to be sent. */
export function dotEntries<N>({ backend }: Operation<N>, cursor: Cursor<N>): DotEntry<N>[] {
  const { directory, parent } = cursor;
  const entries: DotEntry<N>[] = [
    { name: '.', cookie: SELF_COOKIE, node: directory, fileid: backend.fileid(directory) },
    { name: '..', cookie: PARENT_COOKIE, node: parent, fileid: backend.fileid(parent) },
  ];
  return entries.slice(cursor.dots);
}
