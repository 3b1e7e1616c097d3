/** SMB2_CREATE_CONTEXT chains ([MS-SMB2] 2.2.13.2) and the contexts of fixed layout. */
import { fileId } from './file-id.ts';
import { align, area, bytes, reserved, size64, structure, u16, u32, u64, viewOf } from './struct.ts';
import { MalformedError } from './malformed.ts';

export interface CreateContext {
  readonly name: string;
  readonly data: Buffer;
}

const contextHeader = structure('SMB2_CREATE_CONTEXT', '[MS-SMB2] 2.2.13.2', {
  next: u32,
  nameOffset: u16,
  nameLength: u16,
  reserved: reserved(2),
  dataOffset: u16,
  dataLength: u32,
});

/** Names of contexts as latin-1 text. That of the POSIX context has 16 bytes ([MS-SMB2] 2.2.13.2, SMB3 POSIX extensions). */
export const POSIX_CONTEXT = Buffer.from('93ad25509cb411e7b42383de968bcd7c', 'hex').toString('latin1');
export const APP_INSTANCE_CONTEXT = Buffer.from('45bca66aefa7f74a9008fa462e144d74', 'hex').toString('latin1');

/**
 * @param most number of contexts to accept.
 * @throws MalformedError when a context lies outside the chain or the chain does not advance.
 */
export function decodeCreateContexts(chain: Buffer, most: number): CreateContext[] {
  const contexts: CreateContext[] = [];
  let at = 0;
  while (chain.length > 0) {
    const rest = chain.subarray(at);
    const { next, nameOffset, nameLength, dataOffset, dataLength } = contextHeader.decode(rest);
    if (next !== 0 && (next % 8 !== 0 || next < contextHeader.size || next >= rest.length))
      throw new MalformedError('create context chain');
    const own = next === 0 ? rest : rest.subarray(0, next);
    if (nameLength < 4) throw new MalformedError('create context name');
    contexts.push({
      name: area(own, nameOffset, nameLength, 16).toString('latin1'),
      data: area(own, dataOffset, dataLength, 16),
    });
    if (contexts.length > most) throw new MalformedError('too many create contexts');
    if (next === 0) break;
    at += next;
  }
  return contexts;
}

export function encodeCreateContexts(contexts: readonly CreateContext[]): Buffer {
  const parts = contexts.map(({ name, data }, index) => {
    const dataOffset = align(contextHeader.size + name.length, 8);
    const size = dataOffset + data.length;
    const last = index === contexts.length - 1;
    const part = Buffer.alloc(last ? size : align(size, 8));
    contextHeader.encode(
      {
        next: last ? 0 : part.length,
        nameOffset: contextHeader.size,
        nameLength: name.length,
        dataOffset: data.length === 0 ? 0 : dataOffset,
        dataLength: data.length,
      },
      part,
    );
    part.write(name, contextHeader.size, 'latin1');
    data.copy(part, dataOffset);
    return part;
  });
  return Buffer.concat(parts);
}

export const leaseV1 = structure('SMB2_CREATE_REQUEST_LEASE', '[MS-SMB2] 2.2.13.2.8', {
  key: bytes(16),
  state: u32,
  flags: u32,
  duration: u64,
});

export const leaseV2 = structure('SMB2_CREATE_REQUEST_LEASE_V2', '[MS-SMB2] 2.2.13.2.10', {
  key: bytes(16),
  state: u32,
  flags: u32,
  duration: u64,
  parentKey: bytes(16),
  epoch: u16,
  reserved: reserved(2),
});

/** LeaseFlags */
export const LeaseFlags = { BREAK_IN_PROGRESS: 2, PARENT_LEASE_KEY_SET: 4 } as const;

export const durableRequestV2 = structure('SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2', '[MS-SMB2] 2.2.13.2.11', {
  timeout: u32,
  flags: u32,
  reserved: reserved(8),
  createGuid: bytes(16),
});

export const durableReconnectV1 = structure('SMB2_CREATE_DURABLE_HANDLE_RECONNECT', '[MS-SMB2] 2.2.13.2.4', {
  fileId,
});

export const durableReconnectV2 = structure(
  'SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2',
  '[MS-SMB2] 2.2.13.2.12',
  {
    fileId,
    createGuid: bytes(16),
    flags: u32,
  },
);

/** Flag of the durable handle contexts of version 2. */
export const DURABLE_FLAG_PERSISTENT = 2;

export const durableResponseV2 = structure(
  'SMB2_CREATE_DURABLE_HANDLE_RESPONSE_V2',
  '[MS-SMB2] 2.2.14.2.12',
  { timeout: u32, flags: u32 },
);

export const maximalAccessResponse = structure(
  'SMB2_CREATE_QUERY_MAXIMAL_ACCESS_RESPONSE',
  '[MS-SMB2] 2.2.14.2.5',
  { status: u32, access: u32 },
);

export const diskIdResponse = structure('SMB2_CREATE_QUERY_ON_DISK_ID', '[MS-SMB2] 2.2.14.2.9', {
  fileId: u64,
  volumeId: u64,
  reserved: reserved(16),
});

export const allocationSize = structure('SMB2_CREATE_ALLOCATION_SIZE', '[MS-SMB2] 2.2.13.2.6', {
  size: size64,
});

/** The payload of the first context with this name, unchanged. */
export const payloadOf = (contexts: readonly CreateContext[], name: string): Buffer | undefined =>
  contexts.find((context) => context.name === name)?.data;

export const readU64 = (data: Buffer, at = 0): bigint => viewOf(data).getBigUint64(at, true);
