/** A handler's answer: the body of one response, in a buffer with room for all headers in front. */
import { fail } from '../errors.ts';
import { HEADER_SIZE } from '../wire/constants.ts';
import { errorContext, errorResponse } from '../wire/error-response.ts';
import { emptyBody } from '../wire/session.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import type { Fields, Structure, Values } from '../wire/struct.ts';
import { outputBufferResponse } from '../wire/query.ts';

/** Direct TCP length and transform header ([MS-SMB2] 2.1, 2.2.41). */
export const FRAME_HEADER = 4;
export const TRANSFORM_HEADER = 52;
/** Where the body begins: frame header, transform header, SMB2 header. */
export const BODY = FRAME_HEADER + TRANSFORM_HEADER + HEADER_SIZE;
/** Where an SMB2 message begins in it. */
export const MESSAGE = FRAME_HEADER + TRANSFORM_HEADER;

export interface Releasable {
  release(): void;
}

export interface Reply {
  readonly status: NtStatus;
  /** `BODY` bytes of room, then the body. */
  readonly buffer: Buffer;
  /** Bytes of the body. */
  readonly length: number;
  /** Told once nothing refers to the buffer any more. */
  readonly owner?: Releasable;
}

export function reply<F extends Fields>(
  body: Structure<F>,
  values: Values<F>,
  tail?: Buffer,
  status: NtStatus = Status.SUCCESS,
): Reply {
  const length = body.size + (tail?.length ?? 0);
  const buffer = Buffer.allocUnsafe(BODY + length);
  body.encode(values, buffer, BODY);
  if (tail) tail.copy(buffer, BODY + body.size);
  return { status, buffer, length };
}

export const emptyReply = (): Reply => reply(emptyBody, {});

/** Offset, from the SMB2 header, of data that follows a fixed part of `size` bytes. */
export const dataOffset = (size: number): number => HEADER_SIZE + size;

export const outputReply = (data: Buffer, status: NtStatus = Status.SUCCESS): Reply =>
  reply(
    outputBufferResponse,
    {
      outputBufferOffset: data.length === 0 ? 0 : dataOffset(outputBufferResponse.size),
      outputBufferLength: data.length,
    },
    data,
    status,
  );

/** A reply of information that is cut off at the client's buffer ([MS-SMB2] 3.3.5.20.1). */
export function boundedOutput(data: Buffer, fixedSize: number, most: number): Reply {
  if (most < fixedSize) return fail(Status.INFO_LENGTH_MISMATCH);
  if (data.length > most) return outputReply(data.subarray(0, most), Status.BUFFER_OVERFLOW);
  return outputReply(data);
}

/** An ERROR body; with 3.1.1 its data sits in an error context ([MS-SMB2] 2.2.2). */
export function errorReply(status: NtStatus, data?: Buffer, inContext = false): Reply {
  if (!data) return reply(errorResponse, { contextCount: 0, byteCount: 0 }, Buffer.alloc(1), status);
  const tail = inContext ? errorContext.toBuffer({ dataLength: data.length, errorId: 0 }, data) : data;
  return reply(errorResponse, { contextCount: inContext ? 1 : 0, byteCount: tail.length }, tail, status);
}
