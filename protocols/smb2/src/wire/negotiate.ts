import { align, area, bytes, reserved, structure, structureSize, u16, u32, u64 } from './struct.ts';
import { MalformedError } from './malformed.ts';

export const negotiateRequest = structure('SMB2 NEGOTIATE Request', '[MS-SMB2] 2.2.3', {
  structureSize: structureSize(36),
  dialectCount: u16,
  securityMode: u16,
  reserved: reserved(2),
  capabilities: u32,
  clientGuid: bytes(16),
  /** For 3.1.1 only. Otherwise this is ClientStartTime. */
  contextOffset: u32,
  contextCount: u16,
  reserved2: reserved(2),
});

export const negotiateResponse = structure('SMB2 NEGOTIATE Response', '[MS-SMB2] 2.2.4', {
  structureSize: structureSize(65),
  securityMode: u16,
  dialect: u16,
  contextCount: u16,
  serverGuid: bytes(16),
  capabilities: u32,
  maxTransactSize: u32,
  maxReadSize: u32,
  maxWriteSize: u32,
  systemTime: u64,
  serverStartTime: u64,
  securityBufferOffset: u16,
  securityBufferLength: u16,
  contextOffset: u32,
});

const negotiateContext = structure('SMB2 NEGOTIATE_CONTEXT', '[MS-SMB2] 2.2.3.1', {
  type: u16,
  length: u16,
  reserved: reserved(4),
});

export const preauthContext = structure('SMB2_PREAUTH_INTEGRITY_CAPABILITIES', '[MS-SMB2] 2.2.3.1.1', {
  hashCount: u16,
  saltLength: u16,
});

export interface NegotiateContext {
  readonly type: number;
  readonly data: Buffer;
}

/** @throws MalformedError when a context exceeds the message. */
export function decodeNegotiateContexts(packet: Buffer, offset: number, count: number): NegotiateContext[] {
  const contexts: NegotiateContext[] = [];
  let at = offset;
  for (let index = 0; index < count; index++) {
    if (at % 8 !== 0) throw new MalformedError('negotiate context not aligned');
    const { type, length } = negotiateContext.decode(packet, at);
    const data = area(packet, at + negotiateContext.size, length, at);
    contexts.push({ type, data });
    at = align(at + negotiateContext.size + length, 8);
  }
  return contexts;
}

/** Encodes the contexts one after the other. All but the last are padded to 8 bytes. */
export function encodeNegotiateContexts(contexts: readonly NegotiateContext[]): Buffer {
  const parts = contexts.map(({ type, data }, index) => {
    const size = negotiateContext.size + data.length;
    const part = Buffer.alloc(index === contexts.length - 1 ? size : align(size, 8));
    negotiateContext.encode({ type, length: data.length }, part);
    data.copy(part, negotiateContext.size);
    return part;
  });
  return Buffer.concat(parts);
}

/** Decodes a count and that many 16-bit ids (encryption and signing capabilities, 2.2.3.1.2 and 2.2.3.1.7). */
export function decodeIdList(data: Buffer): number[] {
  if (data.length < 2) throw new MalformedError('negotiate context too short');
  const count = data.readUInt16LE(0);
  if (count === 0 || 2 + 2 * count > data.length) throw new MalformedError('negotiate context id count');
  return Array.from({ length: count }, (_, index) => data.readUInt16LE(2 + 2 * index));
}

export function encodeIdList(ids: readonly number[]): Buffer {
  const data = Buffer.alloc(2 + 2 * ids.length);
  data.writeUInt16LE(ids.length, 0);
  ids.forEach((id, index) => data.writeUInt16LE(id, 2 + 2 * index));
  return data;
}
