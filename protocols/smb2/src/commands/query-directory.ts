import type { NodeAttributes } from '../backend.ts';
import { fail } from '../errors.ts';
import { allocationSize, endOfFile, fileAttributes } from '../share/attributes.ts';
import { Enumeration } from '../open/enumeration.ts';
import { decodeName } from '../names/path-name.ts';
import type { ServerState } from '../registry/server-state.ts';
import { resumeScan } from '../registry/scan-resume.ts';
import type { Open } from '../open/open.ts';
import { BODY, dataOffset } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Access, HEADER_SIZE } from '../wire/constants.ts';
import { DirectoryEntries } from '../wire/fscc/directory-info.ts';
import type { DirectoryEntry } from '../wire/fscc/directory-info.ts';
import { outputBufferResponse, QueryDirectoryFlags, queryDirectoryRequest } from '../wire/query.ts';
import { Status } from '../wire/status.ts';
import { area } from '../wire/struct.ts';
import { posixReply } from './create-contexts/response.ts';

type Body = ReturnType<typeof queryDirectoryRequest.decode>;

const LONGEST_PATTERN = 512;

/** [MS-SMB2] 3.3.5.18: requests on one open run one after the other, since each continues where the last one ended. */
export async function queryDirectory(request: Request, server: ServerState): Promise<Reply> {
  const { packet, context } = request;
  const body = queryDirectoryRequest.decode(packet, HEADER_SIZE);
  const name = area(packet, body.nameOffset, body.nameLength, HEADER_SIZE + queryDirectoryRequest.size);
  if (body.nameLength > LONGEST_PATTERN) return fail(Status.OBJECT_NAME_INVALID);
  if (body.outputBufferLength > context.limits.maxTransactSize) return fail(Status.INVALID_PARAMETER);
  const pattern = decodeName(name);
  if (request.openOrUndefined) return await inTurn(request, request.open, body, pattern);
  const resumed = await resumeScan(request, server, body.fileId);
  request.openOrUndefined = resumed;
  resumed.begin();
  try {
    return await inTurn(request, resumed, body, pattern);
  } finally {
    resumed.end();
  }
}

async function inTurn(request: Request, open: Open, body: Body, pattern: string): Promise<Reply> {
  if (!open.isDirectory) return fail(Status.INVALID_PARAMETER);
  if ((open.grantedAccess & Access.READ_DATA) === 0) return fail(Status.ACCESS_DENIED);
  const previous = open.scan ?? Promise.resolve();
  const scan = previous.then(() => answer(request, open, body, pattern));
  open.scan = scan.then(
    () => undefined,
    () => undefined,
  );
  return await scan;
}

/**
 * Clients ask for much more room than most directories need. So the reply is written into a pooled buffer: one of the client's
 * size for each request would keep the garbage collector busy.
 */
async function answer(request: Request, open: Open, body: Body, pattern: string): Promise<Reply> {
  const room = Math.min(body.outputBufferLength, request.context.limits.maxTransactSize);
  const { pool } = request.context;
  const buffer = pool.take(outputBufferResponse.size + room);
  const owner = { release: () => pool.give(buffer) };
  try {
    const target = buffer.subarray(0, BODY + outputBufferResponse.size + room);
    const length = await fill(target, request, open, body, pattern);
    return { status: Status.SUCCESS, buffer, length, owner };
  } catch (error) {
    owner.release();
    throw error;
  }
}

/** Returns the length of the reply's body. */
async function fill(
  buffer: Buffer,
  request: Request,
  open: Open,
  body: Body,
  pattern: string,
): Promise<number> {
  const room = buffer.length - BODY - outputBufferResponse.size;
  const entries = DirectoryEntries.of(
    body.informationClass,
    buffer.subarray(BODY + outputBufferResponse.size),
    request.connection.negotiated.finderEntries,
  );
  if (!entries) return fail(Status.INVALID_INFO_CLASS);
  if (room < entries.fixedSize) return fail(Status.INFO_LENGTH_MISMATCH);
  const scan = await enumerationFor(request, open, body, pattern);
  const isSingle = (body.flags & QueryDirectoryFlags.RETURN_SINGLE_ENTRY) !== 0;
  const entry = new ListedEntry(scan, open.share.maximalAccess);
  for (;;) {
    const seeking = scan.seek(request);
    if (!(seeking instanceof Promise ? await seeking : seeking)) break;
    if (!entries.add(entry)) {
      if (entries.isEmpty) return fail(Status.INFO_LENGTH_MISMATCH);
      break;
    }
    scan.advance();
    if (isSingle) break;
  }
  scan.askedAt = performance.now();
  if (entries.isEmpty) {
    scan.end();
    return fail(scan.started ? Status.NO_MORE_FILES : Status.NO_SUCH_FILE);
  }
  scan.started = true;
  outputBufferResponse.encode(
    { outputBufferOffset: dataOffset(outputBufferResponse.size), outputBufferLength: entries.length },
    buffer,
    BODY,
  );
  return outputBufferResponse.size + entries.length;
}

async function enumerationFor(
  request: Request,
  open: Open,
  body: Body,
  pattern: string,
): Promise<Enumeration> {
  const { flags } = body;
  const restart = (flags & (QueryDirectoryFlags.RESTART_SCANS | QueryDirectoryFlags.REOPEN)) !== 0;
  let scan = open.enumeration;
  if (!scan || restart) {
    // RESTART_SCANS keeps the pattern unless a new one is given. REOPEN always takes the new one (3.3.5.18).
    const wanted = pattern === '' && scan ? scan.pattern : pattern;
    if (!scan && pattern === '') fail(Status.OBJECT_NAME_INVALID);
    scan = await Enumeration.start(open, wanted, request);
    open.enumeration = scan;
  }
  if ((flags & QueryDirectoryFlags.INDEX_SPECIFIED) !== 0) scan.moveTo(body.fileIndex);
  return scan;
}

const KIND_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;

/** The entry that the scan is at, as the encoder of the information class needs it. */
class ListedEntry implements DirectoryEntry {
  readonly #scan: Enumeration;
  readonly eaSize = 0;
  /** An upper bound is enough: CREATE grants the actual rights. */
  readonly maximalAccess: number;

  constructor(scan: Enumeration, maximalAccess: number) {
    this.#scan = scan;
    this.maximalAccess = maximalAccess;
  }

  get unixMode(): number {
    return KIND_BITS[this.#attributes.kind] | this.#attributes.mode;
  }

  get #attributes(): NodeAttributes {
    return this.#scan.attributes!;
  }

  get name(): string {
    return this.#scan.name;
  }

  get fileIndex(): number {
    return this.#scan.nextPosition;
  }

  get id(): bigint {
    return this.#scan.id;
  }

  get creationTime(): bigint {
    return this.#attributes.creationTime;
  }

  get lastAccessTime(): bigint {
    return this.#attributes.lastAccessTime;
  }

  get lastWriteTime(): bigint {
    return this.#attributes.lastWriteTime;
  }

  get changeTime(): bigint {
    return this.#attributes.changeTime;
  }

  get endOfFile(): number {
    return endOfFile(this.#attributes);
  }

  get allocationSize(): number {
    return allocationSize(this.#attributes);
  }

  get attributes(): number {
    return fileAttributes(this.#attributes);
  }

  get posix(): Buffer {
    return posixReply(this.#attributes);
  }
}
