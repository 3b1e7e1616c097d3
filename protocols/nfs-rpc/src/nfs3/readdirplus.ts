import type { FileAttributes } from '../backend.ts';
import { MAX_TRANSFER } from '../limits.ts';
import { chain } from '../rpc/awaitable.ts';
import type { ReplyWriter } from '../rpc/reply.ts';
import { bool, linkedList, struct, uint32, uint64Number } from '../xdr/codec.ts';
import { padding } from '../xdr/reader.ts';
import { type Cursor, dotEntries, entryInformation, openDirectory, PageWriter } from './directory.ts';
import type { Operation } from './operation.ts';
import { PageCache } from './page-cache.ts';
import { guarded, type Procedure } from './procedure.ts';
import {
  failedWithAttributes,
  FILE_ATTRIBUTES_SIZE,
  fileHandle,
  fileName,
  postOpAttr,
  postOpHandle,
  putPostOpAttr,
  verifier,
} from './wire.ts';

/** entryplus3, without nextentry. */
const entryPlus = struct({
  fileidHigh: uint32,
  fileidLow: uint32,
  name: fileName,
  cookie: uint64Number,
  attributes: postOpAttr,
  handle: postOpHandle,
});

/**
 * Procedure 17, RFC 1813 §3.3.17.
 * ```
 * struct READDIRPLUS3args { nfs_fh3 dir; cookie3 cookie; cookieverf3 cookieverf; count3 dircount; count3 maxcount; };
 * struct entryplus3 {
 *   fileid3 fileid; filename3 name; cookie3 cookie;
 *   post_op_attr name_attributes; post_op_fh3 name_handle; entryplus3 *nextentry;
 * };
 * struct dirlistplus3 { entryplus3 *entries; bool eof; };
 * struct READDIRPLUS3resok { post_op_attr dir_attributes; cookieverf3 cookieverf; dirlistplus3 reply; };
 * struct READDIRPLUS3resfail { post_op_attr dir_attributes; };
 * ```
 */
export const readdirplusShape = {
  name: 'READDIRPLUS',
  args: struct({
    directory: fileHandle,
    cookie: uint64Number,
    verifier,
    directoryCount: uint32,
    maximumCount: uint32,
  }),
  ok: struct({ attributes: postOpAttr, verifier, entries: linkedList(entryPlus), eof: bool }),
  failed: failedWithAttributes,
};

const pages = new PageCache();

interface Budget {
  /** Bytes of READDIRPLUS3resok. */
  readonly maximum: number;
  /** Bytes of fileids, names and cookies. One entry may exceed it, so that every reply makes progress. */
  readonly information: number;
}

/** Tuned: encodes straight from the snapshot. */
export const readdirplus: Procedure = {
  name: readdirplusShape.name,
  failed: failedWithAttributes,
  failure: (operation) => ({ attributes: operation.attributes() }),
  serve: (operation, args) => {
    const { directory, cookie, directoryCount, maximumCount } = readdirplusShape.args.decode(args);
    const budget = { maximum: Math.min(maximumCount, MAX_TRANSFER), information: directoryCount };
    return guarded(() =>
      chain(openDirectory(operation, directory, cookie), (cursor) => {
        const to = likelyEnd(operation, cursor, budget);
        return chain(cursor.listing.load(cursor.index, to), () =>
          chain(operation.call.reserve(budget.maximum), () => page(operation, cursor, to, budget)),
        );
      }),
    );
  },
};

/** Bytes of attributes and handle after an entry, with their flags. */
const sizeOfPlus = (attributes: boolean, handle: number | undefined): number =>
  8 + (attributes ? FILE_ATTRIBUTES_SIZE : 0) + (handle === undefined ? 0 : 4 + handle + padding(handle));

/** Estimates up to which entry to load. Assumes that all handles are as long as the directory's own. */
function likelyEnd<N>({ backend }: Operation<N>, cursor: Cursor<N>, budget: Budget): number {
  const { directory, listing } = cursor;
  const plus = 4 + sizeOfPlus(true, backend.handle(directory).length);
  let { index } = cursor;
  let information = 0;
  let bytes = 0;
  while (index < listing.length && information < budget.information && bytes < budget.maximum) {
    const size = entryInformation(listing.nameAt(index++));
    information += size;
    bytes += size + plus;
  }
  return Math.max(index, Math.min(cursor.index + 1, listing.length));
}

class PlusWriter<N> {
  readonly #page: PageWriter;
  readonly #operation: Operation<N>;
  #information: number;

  constructor(operation: Operation<N>, budget: Budget) {
    this.#operation = operation;
    this.#page = new PageWriter(operation.call.reply(budget.maximum), operation.attributes(), budget.maximum);
    this.#information = budget.information;
  }

  /** Returns false when the entry does not fit. */
  add(
    fileidHigh: number,
    fileidLow: number,
    name: string,
    cookie: number,
    node: N | undefined,
    attributes: FileAttributes | undefined,
  ): boolean {
    if (this.#information <= 0) return false;
    const handle = node === undefined ? undefined : this.#operation.backend.handle(node);
    if (!this.#page.fits(name, sizeOfPlus(attributes !== undefined, handle?.length))) return false;
    this.#information -= entryInformation(name);
    this.#page.entry(fileidHigh, fileidLow, name, cookie);
    const { reply } = this.#page;
    putPostOpAttr(reply, attributes);
    reply.bool(handle !== undefined);
    if (handle !== undefined) reply.opaque(handle);
    return true;
  }

  /** For the page cache: the room that is left. Pages with the same room have the same entries. */
  get room(): string {
    return `${this.#page.room} ${this.#information}`;
  }

  get offset(): number {
    return this.#page.reply.offset;
  }

  encoded(bytes: Buffer): void {
    this.#page.encoded(bytes);
  }

  writtenSince(offset: number): Buffer {
    const { reply } = this.#page;
    return reply.slab.buffer.subarray(offset, reply.offset);
  }

  finish(eof: boolean): ReplyWriter {
    return this.#page.finish(eof);
  }
}

function page<N>(operation: Operation<N>, cursor: Cursor<N>, to: number, budget: Budget): ReplyWriter {
  const { listing } = cursor;
  const { backend } = operation;
  // dircount always allows one entry: the RFC calls it a hint, and 0 must not end a listing.
  const writer = new PlusWriter(operation, { ...budget, information: Math.max(budget.information, 1) });
  for (const { name, cookie, node, fileid } of dotEntries(operation, cursor)) {
    // The attributes of the parent may be missing. They are optional here, so do not wait for them.
    if (!writer.add(fileid.high, fileid.low, name, cookie, node, backend.cachedAttributes(node))) {
      return writer.finish(false);
    }
  }
  const { edition } = listing;
  const place = `${cursor.index} ${to} ${writer.room}`;
  const known = edition && pages.get(edition, place);
  if (known) {
    writer.encoded(known.bytes);
    return writer.finish(known.end === listing.length);
  }
  const { offset } = writer;
  const end = addEntries(operation, cursor, to, writer);
  if (edition) pages.set(edition, place, writer.writtenSince(offset), end);
  return writer.finish(end === listing.length);
}

/** Adds entries from the cursor up to `to` (exclusive), as far as they fit. Returns the index of the first that was not added. */
function addEntries<N>(
  { backend }: Operation<N>,
  { listing, index: from }: Cursor<N>,
  to: number,
  writer: PlusWriter<N>,
): number {
  for (let index = from; index < to; index++) {
    const node = listing.nodeAt(index);
    const attributes = node === undefined ? undefined : backend.cachedAttributes(node);
    const added = writer.add(
      listing.fileidHighAt(index),
      listing.fileidLowAt(index),
      listing.nameAt(index),
      listing.cookieAt(index),
      node,
      attributes,
    );
    if (!added) return index;
  }
  return to;
}
