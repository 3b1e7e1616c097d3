import { DisconnectError, fail } from '../../errors.ts';
import type { Request } from '../../request/request.ts';
import { Dialect, HEADER_SIZE, RELATED_ID } from '../../wire/constants.ts';
import { Status } from '../../wire/status.ts';
import { bytes, reserved, size64, structure, u16, u32 } from '../../wire/struct.ts';
import type { FsctlResult } from './result.ts';

const validateRequest = structure('VALIDATE_NEGOTIATE_INFO Request', '[MS-SMB2] 2.2.31.4', {
  capabilities: u32,
  guid: bytes(16),
  securityMode: u16,
  dialectCount: u16,
});

const validateResponse = structure('VALIDATE_NEGOTIATE_INFO Response', '[MS-SMB2] 2.2.32.6', {
  capabilities: u32,
  guid: bytes(16),
  securityMode: u16,
  dialect: u16,
});

/** [MS-SMB2] 3.3.5.15.12: a difference to the NEGOTIATE means that it was changed on the way, so the connection ends. */
export function validateNegotiate(request: Request, input: Buffer, maxOutput: number): FsctlResult {
  const { negotiated } = request.connection;
  const { dialect } = negotiated;
  if (dialect === undefined || dialect === Dialect.SMB_3_1_1) return fail(Status.FILE_CLOSED);
  const body = validateRequest.decode(input);
  if (maxOutput < validateResponse.size || input.length < validateRequest.size + 2 * body.dialectCount)
    return fail(Status.INVALID_PARAMETER);
  const dialects = Array.from({ length: body.dialectCount }, (_, index) =>
    input.readUInt16LE(validateRequest.size + 2 * index),
  );
  const isSame =
    body.capabilities === negotiated.clientCapabilities &&
    body.guid.equals(negotiated.clientGuid) &&
    body.securityMode === negotiated.clientSecurityMode &&
    dialects.length === negotiated.clientDialects.length &&
    dialects.every((one, index) => one === negotiated.clientDialects[index]);
  if (!isSame) throw new DisconnectError('VALIDATE_NEGOTIATE_INFO differs from NEGOTIATE');
  return {
    output: validateResponse.toBuffer({
      capabilities: negotiated.capabilities,
      guid: request.context.settings.serverGuid,
      securityMode: negotiated.securityMode,
      dialect,
    }),
  };
}

const interfaceInfo = structure('NETWORK_INTERFACE_INFO Response', '[MS-SMB2] 2.2.32.5', {
  next: u32,
  index: u32,
  capability: u32,
  reserved: reserved(4),
  linkSpeed: size64,
  /** SOCKADDR_STORAGE */
  socketAddress: bytes(128),
});

const RSS_CAPABLE = 1;
const INTER_NETWORK = 2;
const INTER_NETWORK_V6 = 0x17;

/** 2.2.32.5.1.1 and 2.2.32.5.1.2: family, port (unused), for IPv6 the flow label, then the address. */
function socketAddress(address: string): Buffer {
  const data = Buffer.alloc(128);
  const isV6 = address.includes(':');
  data.writeUInt16LE(isV6 ? INTER_NETWORK_V6 : INTER_NETWORK, 0);
  if (isV6) addressBytes(address).copy(data, 8);
  else Buffer.from(address.split('.').map(Number)).copy(data, 4);
  return data;
}

/** The 16 bytes of an IPv6 address given as text. */
function addressBytes(address: string): Buffer {
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = groups(tail ?? '');
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  const data = Buffer.alloc(16);
  all.forEach((group, index) => data.writeUInt16BE(group, 2 * index));
  return data;
}

/** [MS-SMB2] 3.3.5.15.11 */
export function networkInterfaces(request: Request, _input: Buffer, maxOutput: number): FsctlResult {
  if (request.dialect < Dialect.SMB_3_0) return fail(Status.INVALID_DEVICE_REQUEST);
  const { packet } = request;
  const hasNoFileId =
    packet.readBigUInt64LE(HEADER_SIZE + 8) === RELATED_ID &&
    packet.readBigUInt64LE(HEADER_SIZE + 16) === RELATED_ID;
  if (!hasNoFileId) return fail(Status.INVALID_PARAMETER);
  const interfaces = request.context.settings.interfaces?.() ?? [];
  if (interfaces.length === 0) return fail(Status.NOT_SUPPORTED);
  const list = interfaces.map(({ address, index, linkSpeed, isParallel }, place) =>
    interfaceInfo.toBuffer({
      next: place === interfaces.length - 1 ? 0 : interfaceInfo.size,
      index,
      capability: isParallel ? RSS_CAPABLE : 0,
      linkSpeed,
      socketAddress: socketAddress(address),
    }),
  );
  const output = Buffer.concat(list);
  return output.length > maxOutput ? fail(Status.BUFFER_TOO_SMALL) : { output };
}
