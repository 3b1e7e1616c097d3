import { createHash } from 'node:crypto';
import { fail } from '../../errors.ts';
import type { Request } from '../../request/request.ts';
import { Access, FileAttribute } from '../../wire/constants.ts';
import { Status } from '../../wire/status.ts';
import type { FsctlResult } from './result.ts';

const OBJECT_ID_SIZE = 64;
const COMPRESSION_FORMAT_NONE = 0;
const COMPRESSION_FORMAT_LZNT1 = 2;

/** [MS-FSCC] 2.3.1: the id is derived from volume and node. The birth ids are the id of the volume and the id itself. */
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

/** [MS-FSCC] 2.3.17 */
export async function getCompression(
  request: Request,
  _input: Buffer,
  maxOutput: number,
): Promise<FsctlResult> {
  if (maxOutput < 2) return fail(Status.BUFFER_TOO_SMALL);
  const { share, node } = request.open;
  const { dosAttributes } = await share.backend.attributes(node, request);
  const output = Buffer.alloc(2);
  if ((dosAttributes & FileAttribute.COMPRESSED) !== 0) output.writeUInt16LE(COMPRESSION_FORMAT_LZNT1);
  return { output };
}

/** [MS-FSCC] 2.3.67. A backend that does not compress accepts only the format "not compressed". */
export async function setCompression(request: Request, input: Buffer): Promise<FsctlResult> {
  if (input.length < 2) return fail(Status.INVALID_PARAMETER);
  const format = input.readUInt16LE(0);
  if (format > COMPRESSION_FORMAT_LZNT1) return fail(Status.INVALID_PARAMETER);
  const { share, node, grantedAccess } = request.open;
  const { changes } = share.backend;
  if (format === COMPRESSION_FORMAT_NONE && changes?.compresses !== true) return { output: Buffer.alloc(0) };
  if (changes?.compresses !== true) return fail(Status.NOT_SUPPORTED);
  if ((grantedAccess & Access.WRITE_DATA) === 0) return fail(Status.ACCESS_DENIED);
  const { dosAttributes } = await share.backend.attributes(node, request);
  const without = dosAttributes & ~FileAttribute.COMPRESSED;
  const wanted = format === COMPRESSION_FORMAT_NONE ? without : without | FileAttribute.COMPRESSED;
  await changes.setAttributes(node, { dosAttributes: wanted }, request);
  return { output: Buffer.alloc(0) };
}
