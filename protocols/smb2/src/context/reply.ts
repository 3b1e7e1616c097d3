/** The reply of a handler: the body of one response, in a buffer with room for all headers before it. */
import { fail } from '../errors.ts';
import { HEADER_SIZE } from '../wire/constants.ts';
import { errorContext, errorResponse } from '../wire/error-response.ts';
import { emptyBody } from '../wire/session.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';
import type { Fields, Structure, Values } from '../wire/struct.ts';
import { outputBufferResponse } from '../wire/query.ts';

/** Sizes of the direct TCP length and the transform header ([MS-SMB2] 2.1, 2.2.41). */
export const FRAME_HEADER = 4;
export const TRANSFORM_HEADER = 52;
/** Offset of the body: after frame header, transform header and SMB2 header. */
export const BODY = FRAME_HEADER + TRANSFORM_HEADER + HEADER_SIZE;
/** Offset of the SMB2 message in the buffer. */
export const MESSAGE = FRAME_HEADER + TRANSFORM_HEADER;

export interface Releasable {
  release(): void;
}

export interface Reply {
  readonly status: NtStatus;
  /** `BODY` bytes for headers, then the body. */
  readonly buffer: Buffer;
  /** Bytes of the body. */
  readonly length: number;
  /** Called once the buffer is no longer in use. */
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

/** A reply with information, cut to the size of the client's buffer ([MS-SMB2] 3.3.5.20.1). */
export function boundedOutput(data: Buffer, fixedSize: number, most: number): Reply {
  if (most < fixedSize) return fail(Status.INFO_LENGTH_MISMATCH);
  if (data.length > most) return outputReply(data.subarray(0, most), Status.BUFFER_OVERFLOW);
  return outputReply(data);
}

/** An ERROR body. With 3.1.1 the data is in an error context ([MS-SMB2] 2.2.2). */
export function errorReply(status: NtStatus, data?: Buffer, inContext = false): Reply {
  if (!data) return reply(errorResponse, { contextCount: 0, byteCount: 0 }, Buffer.alloc(1), status);
  const tail = inContext ? errorContext.toBuffer({ dataLength: data.length, errorId: 0 }, data) : data;
  return reply(errorResponse, { contextCount: inContext ? 1 : 0, byteCount: tail.length }, tail, status);
}
