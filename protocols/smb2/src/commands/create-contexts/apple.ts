/** AAPL: extensions of CREATE for macOS, which save Finder round trips. Documented in smb_2.h of Apple's SMB client. */
import type { CallContext } from '../../backend.ts';
import { fail, StatusError } from '../../errors.ts';
import { toWireName } from '../../names/characters.ts';
import type { Open } from '../../open/open.ts';
import type { Volume } from '../../share/volume.ts';
import { Status } from '../../wire/status.ts';
import type { NtStatus } from '../../wire/status.ts';

const SERVER_QUERY = 1;
const RESOLVE_ID = 2;
const QUERY_SERVER_CAPS = 1;
const QUERY_VOLUME_CAPS = 2;
const QUERY_MODEL_INFO = 4;
const SUPPORTS_RESOLVE_ID = 1n;
const CASE_SENSITIVE = 2n;
/** Entries of FileIdBothDirectoryInformation carry rights, mode and Finder info, which Finder would request one by one. */
const READ_DIR_ATTR = 1;

/** Returns undefined for an unknown AAPL command. */
export async function appleReply(
  request: Buffer,
  open: Open,
  call: CallContext,
): Promise<Buffer | undefined> {
  if (request.length >= 24 && request.readUInt32LE(0) === SERVER_QUERY)
    return serverQueryReply(request, open.share);
  if (request.length >= 16 && request.readUInt32LE(0) === RESOLVE_ID)
    return await resolveIdReply(request.readBigUInt64LE(8), open.share, call);
  return undefined;
}

function serverQueryReply(request: Buffer, share: Volume): Buffer {
  const wanted = request.readUInt32LE(8);
  const clientCaps = request.readUInt32LE(16);
  const known = wanted & (QUERY_SERVER_CAPS | QUERY_VOLUME_CAPS | QUERY_MODEL_INFO);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(SERVER_QUERY, 0);
  header.writeUInt32LE(known, 8);
  const parts: Buffer[] = [header];
  const word = (value: bigint): Buffer => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(value);
    return buffer;
  };
  if ((known & QUERY_SERVER_CAPS) !== 0) parts.push(word(BigInt(clientCaps & READ_DIR_ATTR)));
  if ((known & QUERY_VOLUME_CAPS) !== 0)
    parts.push(
      word(
        (share.backend.nodeById ? SUPPORTS_RESOLVE_ID : 0n) |
          (share.options.caseSensitive === true ? CASE_SENSITIVE : 0n),
      ),
    );
  if ((known & QUERY_MODEL_INFO) !== 0) {
    const model = Buffer.from('Xserve', 'utf16le');
    const length = Buffer.alloc(8);
    length.writeUInt32LE(model.length, 4);
    parts.push(length, model);
  }
  return Buffer.concat(parts);
}

/** Replies with the path of an object, from the share's root. A failure goes into this reply; the CREATE itself succeeds. */
async function resolveIdReply(id: bigint, share: Volume, call: CallContext): Promise<Buffer> {
  let status: NtStatus = Status.SUCCESS;
  let path = Buffer.alloc(0);
  try {
    path = Buffer.from(await pathOfId(id, share, call), 'utf16le');
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    ({ status } = error);
  }
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(RESOLVE_ID, 0);
  fixed.writeUInt32LE(status, 8);
  fixed.writeUInt32LE(path.length, 12);
  return Buffer.concat([fixed, path]);
}

async function pathOfId(id: bigint, share: Volume, call: CallContext): Promise<string> {
  const { backend } = share;
  const wanted = backend.nodeById?.(id) ?? fail(Status.OBJECT_NAME_NOT_FOUND);
  const names = share.namesOf(wanted);
  let at = backend.root;
  // Walk the path as the caller: it needs permission for each step, and the path must still lead to the object.
  for (const name of names)
    at = (await backend.lookup(at, name, true, call)) ?? fail(Status.OBJECT_NAME_NOT_FOUND);
  if (at !== wanted) fail(Status.OBJECT_NAME_NOT_FOUND);
  return names.map(toWireName).join('\\');
}

/** Whether client and server agree on directory entries with the attributes for Finder. */
export const wantsFinderEntries = (request: Buffer): boolean =>
  request.length >= 24 &&
  request.readUInt32LE(0) === SERVER_QUERY &&
  (request.readUInt32LE(8) & QUERY_SERVER_CAPS) !== 0 &&
  (request.readUInt32LE(16) & READ_DIR_ATTR) !== 0;
