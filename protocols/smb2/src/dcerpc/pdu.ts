/** Connection-oriented PDUs of DCE/RPC 5.0 ([C706] 12.6, [MS-RPCE] 2.2.2), little-endian. */
import { DceRpcError } from './errors.ts';

/** [C706] 12.6.1 PTYPE */
export const PduType = {
  REQUEST: 0,
  RESPONSE: 2,
  FAULT: 3,
  BIND: 11,
  BIND_ACK: 12,
  BIND_NAK: 13,
  ALTER_CONTEXT: 14,
  ALTER_CONTEXT_RESP: 15,
  CO_CANCEL: 18,
  ORPHANED: 19,
} as const;

/** [C706] 12.6.3.1 pfc_flags */
export const PduFlags = { FIRST: 0x01, LAST: 0x02, DID_NOT_EXECUTE: 0x20, OBJECT_UUID: 0x80 } as const;

/** [C706] 12.6.3.1 p_cont_def_result_t, [MS-RPCE] 2.2.2.4 */
export const ContextResult = { ACCEPTANCE: 0, PROVIDER_REJECTION: 2, NEGOTIATE_ACK: 3 } as const;
/** [C706] 12.6.3.1 p_provider_reason_t */
export const RejectReason = {
  ABSTRACT_SYNTAX_NOT_SUPPORTED: 1,
  TRANSFER_SYNTAXES_NOT_SUPPORTED: 2,
  LOCAL_LIMIT_EXCEEDED: 3,
} as const;
/** [C706] 12.6.3.1 p_reject_reason_t, [MS-RPCE] 2.2.2.5 */
export const NakReason = { NOT_SPECIFIED: 0, AUTHENTICATION_TYPE_NOT_RECOGNIZED: 8 } as const;

export const PDU_HEADER = 16;
const REQUEST_HEADER = 24;
const UUID_LENGTH = 16;
const SYNTAX_LENGTH = 20;
const LITTLE_ENDIAN_ASCII_IEEE = 0x00000010;

/** An interface or transfer syntax: its UUID in wire order and its version. */
export interface Syntax {
  readonly uuid: string;
  readonly major: number;
  readonly minor: number;
}

/** The 16 bytes of a UUID on the wire (first three fields little-endian), in hexadecimal. */
export function wireUuid(text: string): string {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes.toString('hex');
}

export const NDR: Syntax = { uuid: wireUuid('8a885d04-1ceb-11c9-9fe8-08002b104860'), major: 2, minor: 0 };
const NO_SYNTAX: Syntax = { uuid: '0'.repeat(2 * UUID_LENGTH), major: 0, minor: 0 };

export interface PduHeader {
  readonly type: number;
  readonly flags: number;
  readonly fragmentLength: number;
  readonly authLength: number;
  readonly callId: number;
}

/** Decodes the common header of at least 16 bytes. Throws DceRpcError for another version or byte order. */
export function decodeHeader(bytes: Buffer): PduHeader {
  if (bytes.readUInt8(0) !== 5 || bytes.readUInt8(1) > 1) throw new DceRpcError('not DCE/RPC 5.0');
  if ((bytes.readUInt8(4) & 0xf0) !== LITTLE_ENDIAN_ASCII_IEEE) throw new DceRpcError('big-endian DCE/RPC');
  const fragmentLength = bytes.readUInt16LE(8);
  if (fragmentLength < PDU_HEADER) throw new DceRpcError(`fragment of ${fragmentLength} bytes`);
  return {
    type: bytes.readUInt8(2),
    flags: bytes.readUInt8(3),
    fragmentLength,
    authLength: bytes.readUInt16LE(10),
    callId: bytes.readUInt32LE(12),
  };
}

export function encodePdu(type: number, flags: number, callId: number, body: Buffer): Buffer {
  const header = Buffer.alloc(PDU_HEADER);
  header.writeUInt8(5, 0);
  header.writeUInt8(type, 2);
  header.writeUInt8(flags, 3);
  header.writeUInt32LE(LITTLE_ENDIAN_ASCII_IEEE, 4);
  header.writeUInt16LE(PDU_HEADER + body.length, 8);
  header.writeUInt32LE(callId, 12);
  return Buffer.concat([header, body]);
}

export interface PresentationContext {
  readonly id: number;
  readonly abstract: Syntax;
  readonly transfer: readonly Syntax[];
}

export interface Bind {
  readonly maxTransmit: number;
  readonly maxReceive: number;
  readonly associationGroup: number;
  readonly contexts: readonly PresentationContext[];
}

function decodeSyntax(bytes: Buffer, at: number): Syntax {
  if (at + SYNTAX_LENGTH > bytes.length) throw new DceRpcError('bind too short');
  return {
    uuid: bytes.toString('hex', at, at + UUID_LENGTH),
    major: bytes.readUInt16LE(at + 16),
    minor: bytes.readUInt16LE(at + 18),
  };
}

/** BIND and ALTER_CONTEXT ([C706] 12.6.4.3), header included. Throws DceRpcError. */
export function decodeBind(pdu: Buffer): Bind {
  if (pdu.length < 28) throw new DceRpcError('bind too short');
  const contexts: PresentationContext[] = [];
  let at = 28;
  for (let index = 0; index < pdu.readUInt8(24); index++) {
    if (at + 4 > pdu.length) throw new DceRpcError('bind too short');
    const id = pdu.readUInt16LE(at);
    const count = pdu.readUInt8(at + 2);
    const abstract = decodeSyntax(pdu, at + 4);
    at += 4 + SYNTAX_LENGTH;
    const transfer: Syntax[] = [];
    for (let syntax = 0; syntax < count; syntax++, at += SYNTAX_LENGTH) transfer.push(decodeSyntax(pdu, at));
    contexts.push({ id, abstract, transfer });
  }
  return {
    maxTransmit: pdu.readUInt16LE(16),
    maxReceive: pdu.readUInt16LE(18),
    associationGroup: pdu.readUInt32LE(20),
    contexts,
  };
}

export interface ContextAnswer {
  readonly result: number;
  /** Reason of a refusal. With NEGOTIATE_ACK: the supported features. */
  readonly reason: number;
}

/** BIND_ACK and ALTER_CONTEXT_RESP ([C706] 12.6.4.4). Accepted contexts use NDR. */
export function encodeBindAck(
  type: typeof PduType.BIND_ACK | typeof PduType.ALTER_CONTEXT_RESP,
  callId: number,
  maxFragment: number,
  associationGroup: number,
  secondaryAddress: string,
  answers: readonly ContextAnswer[],
): Buffer {
  const address = secondaryAddress === '' ? Buffer.alloc(0) : Buffer.from(`${secondaryAddress}\0`, 'latin1');
  const resultsAt = (10 + address.length + 3) & ~3;
  const body = Buffer.alloc(resultsAt + 4 + answers.length * (4 + SYNTAX_LENGTH));
  body.writeUInt16LE(maxFragment, 0);
  body.writeUInt16LE(maxFragment, 2);
  body.writeUInt32LE(associationGroup, 4);
  body.writeUInt16LE(address.length, 8);
  address.copy(body, 10);
  body.writeUInt8(answers.length, resultsAt);
  answers.forEach(({ result, reason }, index) => {
    const at = resultsAt + 4 + index * (4 + SYNTAX_LENGTH);
    const syntax = result === ContextResult.ACCEPTANCE ? NDR : NO_SYNTAX;
    body.writeUInt16LE(result, at);
    body.writeUInt16LE(reason, at + 2);
    body.write(syntax.uuid, at + 4, 'hex');
    body.writeUInt16LE(syntax.major, at + 20);
    body.writeUInt16LE(syntax.minor, at + 22);
  });
  return encodePdu(type, PduFlags.FIRST | PduFlags.LAST, callId, body);
}

/** [C706] 12.6.4.5, with the only supported protocol version. */
export function encodeBindNak(callId: number, reason: number): Buffer {
  const body = Buffer.from([0, 0, 1, 5, 0, 0, 0, 0]);
  body.writeUInt16LE(reason, 0);
  return encodePdu(PduType.BIND_NAK, PduFlags.FIRST | PduFlags.LAST, callId, body);
}

export interface Request {
  readonly contextId: number;
  readonly operation: number;
  readonly stub: Buffer;
}

/** One fragment of a request ([C706] 12.6.4.9), header included. Throws DceRpcError. */
export function decodeRequest(pdu: Buffer, flags: number): Request {
  const stubAt = REQUEST_HEADER + ((flags & PduFlags.OBJECT_UUID) !== 0 ? UUID_LENGTH : 0);
  if (pdu.length < stubAt) throw new DceRpcError('request too short');
  return { contextId: pdu.readUInt16LE(20), operation: pdu.readUInt16LE(22), stub: pdu.subarray(stubAt) };
}

/** A response, in as many fragments as its stub needs ([C706] 12.6.4.10). */
export function encodeResponse(
  callId: number,
  contextId: number,
  stub: Buffer,
  maxFragment: number,
): Buffer[] {
  const room = (maxFragment - REQUEST_HEADER) & ~7;
  const fragments: Buffer[] = [];
  let at = 0;
  do {
    const part = stub.subarray(at, at + room);
    const flags = (at === 0 ? PduFlags.FIRST : 0) | (at + room >= stub.length ? PduFlags.LAST : 0);
    const head = Buffer.alloc(REQUEST_HEADER - PDU_HEADER);
    head.writeUInt32LE(stub.length - at, 0);
    head.writeUInt16LE(contextId, 4);
    fragments.push(encodePdu(PduType.RESPONSE, flags, callId, Buffer.concat([head, part])));
    at += room;
  } while (at < stub.length);
  return fragments;
}

/** [C706] 12.6.4.7 */
export function encodeFault(callId: number, contextId: number, status: number): Buffer {
  const body = Buffer.alloc(16);
  body.writeUInt16LE(contextId, 4);
  body.writeUInt32LE(status, 8);
  const flags = PduFlags.FIRST | PduFlags.LAST | PduFlags.DID_NOT_EXECUTE;
  return encodePdu(PduType.FAULT, flags, callId, body);
}
