/**
 * File handles: at most 64 bytes, a multiple of 4, one encoding for each object, and enough to find it by a tree walk.
 *
 *     0     version (1)
 *     1     depth: number of path components, 0 for the root
 *     2..7  export tag
 *     8..15 path hash (Identity.pathHash, big-endian), which identifies the object
 *     16..  a piece of each component's name hash: 6 bytes each up to depth 8, then 4 (12), 3 (16), 2 (24), 1 (48)
 *
 * Beyond depth 48 there are no pieces: only a process that has seen the path can resolve such a handle.
 */
import type { HashHalves, Identity } from './identity.ts';

export const handleVersion = 1;
const fixed = 16;
export const handleMax = 64;

/** Bytes of each component's piece in a handle of this depth. */
export function pieceWidth(depth: number): number {
  if (depth <= 8) return 6;
  if (depth <= 12) return 4;
  if (depth <= 16) return 3;
  if (depth <= 24) return 2;
  return depth <= 48 ? 1 : 0;
}

const padded = (length: number) => (length + 3) & ~3;

export interface HandleSource {
  readonly parent: HandleSource | undefined;
  readonly depth: number;
  readonly pathHash: HashHalves;
  readonly nameHash: HashHalves;
}

export function encodeHandle(identity: Identity, node: HandleSource): Buffer {
  const width = pieceWidth(node.depth);
  const handle = Buffer.alloc(padded(fixed + width * node.depth));
  handle[0] = handleVersion;
  handle[1] = Math.min(255, node.depth);
  identity.exportTag.copy(handle, 2);
  handle.writeUInt32BE(node.pathHash.high, 8);
  handle.writeUInt32BE(node.pathHash.low, 12);
  let at: HandleSource | undefined = node;
  for (let i = node.depth - 1; i >= 0 && width > 0 && at; i--) {
    writePiece(handle, fixed + i * width, at.nameHash, width);
    at = at.parent;
  }
  return handle;
}

function writePiece(target: Buffer, offset: number, hash: HashHalves, width: number): void {
  if (width <= 4) target.writeUIntBE(hash.high >>> (32 - 8 * width), offset, width);
  else {
    target.writeUInt32BE(hash.high, offset);
    target.writeUInt16BE(hash.low >>> 16, offset + 4);
  }
}

export interface DecodedHandle {
  readonly depth: number;
  readonly pathHash: HashHalves;
  /** False if the handle has no pieces, so that it can only be found in memory. */
  readonly walkable: boolean;
}

/** Decodes a handle. Undefined if the bytes are not a handle of this export. */
export function decodeHandle(identity: Identity, handle: Buffer): DecodedHandle | undefined {
  if (handle.length < fixed || handle.length > handleMax || handle[0] !== handleVersion) return undefined;
  if (handle.compare(identity.exportTag, 0, 6, 2, 8) !== 0) return undefined;
  const depth = handle[1]!;
  const width = pieceWidth(depth);
  if (handle.length !== padded(fixed + width * depth)) return undefined;
  for (let i = fixed + width * depth; i < handle.length; i++) if (handle[i] !== 0) return undefined;
  return {
    depth,
    pathHash: { high: handle.readUInt32BE(8), low: handle.readUInt32BE(12) },
    walkable: width > 0 || depth === 0,
  };
}

/** Whether a name may be the component at `level` (0 is the topmost) of this handle's path. */
export function pieceMatches(handle: Buffer, depth: number, level: number, nameHash: HashHalves): boolean {
  const width = pieceWidth(depth);
  const offset = fixed + level * width;
  if (width <= 4) return handle.readUIntBE(offset, width) === nameHash.high >>> (32 - 8 * width);
  return (
    handle.readUInt32BE(offset) === nameHash.high && handle.readUInt16BE(offset + 4) === nameHash.low >>> 16
  );
}
