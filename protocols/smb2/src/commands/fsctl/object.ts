import { createHash } from 'node:crypto';
import { fail } from '../../errors.ts';
import type { Request } from '../../request/request.ts';
import { Status } from '../../wire/status.ts';
import type { FsctlResult } from './result.ts';

const OBJECT_ID_SIZE = 64;
const COMPRESSION_FORMAT_NONE = 0;

/** [MS-FSCC] 2.3.1: the id follows from the volume and the node; the birth ids are those of the volume and itself. */
export async function objectId(request: Request, _input: Buffer, maxOutput: number): Promise<FsctlResult> {
  if (maxOutput < OBJECT_ID_SIZE) return fail(Status.INVALID_PARAMETER);
  const { share, node } = request.open;
  const { id } = await share.backend.attributes(node, request);
  const { serverGuid } = request.context.settings;
  const digest = (text: string): Buffer =>
    createHash('sha256').update(serverGuid).update(text).digest().subarray(0, 16);
  const own = digest(`object\0${share.name}\0${id.toString(16)}`);
  const output = Buffer.concat([own, digest(`volume\0${share.name}`), own, Buffer.alloc(16)]);
  return { output };
}

/** [MS-FSCC] 2.3.17: nothing is compressed. */
export function getCompression(request: Request, _input: Buffer, maxOutput: number): FsctlResult {
  if (maxOutput < 2 || request.open.closed) return fail(Status.BUFFER_TOO_SMALL);
  const output = Buffer.alloc(2);
  output.writeUInt16LE(COMPRESSION_FORMAT_NONE);
  return { output };
}

/** [MS-FSCC] 2.3.67: staying uncompressed is all that is possible. */
export function setCompression(request: Request, input: Buffer): FsctlResult {
  if (input.length < 2 || request.open.closed) return fail(Status.INVALID_PARAMETER);
  return input.readUInt16LE(0) === COMPRESSION_FORMAT_NONE
    ? { output: Buffer.alloc(0) }
    : fail(Status.NOT_SUPPORTED);
}
