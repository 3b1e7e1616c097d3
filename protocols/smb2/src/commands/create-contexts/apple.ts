/** AAPL: what macOS asks of a server once, so that Finder needs fewer round trips (documented in the macOS SMB client). */
import type { Open } from '../../open/open.ts';

const SERVER_QUERY = 1;
const QUERY_SERVER_CAPS = 1;
const QUERY_VOLUME_CAPS = 2;
const QUERY_MODEL_INFO = 4;
const CASE_SENSITIVE = 2;
/** Entries of FileIdBothDirectoryInformation carry what Finder would ask for one by one: rights, mode, Finder info. */
const READ_DIR_ATTR = 1;

/** Undefined when the client asks for something else. */
export function appleReply(request: Buffer, open: Open): Buffer | undefined {
  if (request.length < 24 || request.readUInt32LE(0) !== SERVER_QUERY) return undefined;
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
    parts.push(word(open.share.options.caseSensitive === true ? BigInt(CASE_SENSITIVE) : 0n));
  if ((known & QUERY_MODEL_INFO) !== 0) {
    const model = Buffer.from('Xserve', 'utf16le');
    const length = Buffer.alloc(8);
    length.writeUInt32LE(model.length, 4);
    parts.push(length, model);
  }
  return Buffer.concat(parts);
}

/** Whether the client has agreed on directory entries with the attributes that Finder wants. */
export const wantsFinderEntries = (request: Buffer): boolean =>
  request.length >= 24 &&
  request.readUInt32LE(0) === SERVER_QUERY &&
  (request.readUInt32LE(8) & QUERY_SERVER_CAPS) !== 0 &&
  (request.readUInt32LE(16) & READ_DIR_ATTR) !== 0;
