/** The SMB2 header ([MS-SMB2] 2.2.1). Encoded and decoded by hand, since every packet has one. */
import { HEADER_SIZE } from './constants.ts';
import { MalformedError } from './malformed.ts';

export const PROTOCOL_ID = 0x424d53fe;
export const TRANSFORM_ID = 0x424d53fd;
export const COMPRESSION_ID = 0x424d53fc;
export const SMB1_ID = 0x424d53ff;

/** 64-bit fields are numbers. Values above 2^53 are inexact, but the server never issues such values. */
export interface Header {
  readonly creditCharge: number;
  /** ChannelSequence in a 3.x request. */
  readonly channelSequence: number;
  readonly command: number;
  readonly creditRequest: number;
  readonly flags: number;
  readonly nextCommand: number;
  readonly messageId: number;
  /** For an asynchronous request (CANCEL). */
  readonly asyncId: number;
  readonly treeId: number;
  readonly sessionId: number;
}

/** @throws MalformedError when this is not an SMB2 header. */
export function decodeHeader(packet: Buffer, at: number): Header {
  if (packet.length - at < HEADER_SIZE) throw new MalformedError('message shorter than an SMB2 header');
  const view = new DataView(packet.buffer, packet.byteOffset + at, HEADER_SIZE);
  if (view.getUint32(0, true) !== PROTOCOL_ID) throw new MalformedError('not an SMB2 header');
  if (view.getUint16(4, true) !== HEADER_SIZE) throw new MalformedError('SMB2 header StructureSize');
  return {
    creditCharge: view.getUint16(6, true),
    channelSequence: view.getUint16(8, true),
    command: view.getUint16(12, true),
    creditRequest: view.getUint16(14, true),
    flags: view.getUint32(16, true),
    nextCommand: view.getUint32(20, true),
    messageId: view.getUint32(24, true) + view.getUint32(28, true) * 2 ** 32,
    asyncId: view.getUint32(32, true) + view.getUint32(36, true) * 2 ** 32,
    treeId: view.getUint32(36, true),
    sessionId: view.getUint32(40, true) + view.getUint32(44, true) * 2 ** 32,
  };
}

export interface ResponseHeader {
  readonly creditCharge: number;
  readonly status: number;
  readonly command: number;
  readonly credits: number;
  readonly flags: number;
  readonly messageId: number;
  readonly asyncId: number | undefined;
  readonly treeId: number;
  readonly sessionId: number;
}

/** Writes the header with NextCommand and Signature set to zero. */
export function encodeHeader(header: ResponseHeader, packet: Buffer, at: number): void {
  const view = new DataView(packet.buffer, packet.byteOffset + at, HEADER_SIZE);
  view.setUint32(0, PROTOCOL_ID, true);
  view.setUint16(4, HEADER_SIZE, true);
  view.setUint16(6, header.creditCharge, true);
  view.setUint32(8, header.status, true);
  view.setUint16(12, header.command, true);
  view.setUint16(14, header.credits, true);
  view.setUint32(16, header.flags, true);
  view.setUint32(20, 0, true);
  setNumber64(view, 24, header.messageId);
  if (header.asyncId === undefined) {
    view.setUint32(32, 0xfeff, true);
    view.setUint32(36, header.treeId, true);
  } else {
    setNumber64(view, 32, header.asyncId);
  }
  setNumber64(view, 40, header.sessionId);
  view.setUint32(48, 0, true);
  view.setUint32(52, 0, true);
  view.setUint32(56, 0, true);
  view.setUint32(60, 0, true);
}

/** MessageId of an unsolicited notification (2.2.23). */
export const UNSOLICITED = 2 ** 64;

function setNumber64(view: DataView, at: number, value: number): void {
  if (value === UNSOLICITED) {
    view.setUint32(at, 0xffffffff, true);
    view.setUint32(at + 4, 0xffffffff, true);
    return;
  }
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

export const setNextCommand = (packet: Buffer, at: number, distance: number): void =>
  void packet.writeUInt32LE(distance, at + 20);
