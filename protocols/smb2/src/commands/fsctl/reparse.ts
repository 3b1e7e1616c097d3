import { fail } from '../../errors.ts';
import type { Request } from '../../request/request.ts';
import { encodeSymlinkReparse } from '../../wire/error-response.ts';
import { Status } from '../../wire/status.ts';
import type { FsctlResult } from './result.ts';

/** [MS-FSCC] 2.3.29 */
export async function getReparsePoint(
  request: Request,
  _input: Buffer,
  maxOutput: number,
): Promise<FsctlResult> {
  const { open } = request;
  const { backend } = open.share;
  const { kind } = await backend.attributes(open.node, request);
  if (kind !== 'symlink') return fail(Status.NOT_A_REPARSE_POINT);
  const output = encodeSymlinkReparse((await backend.readlink(open.node, request)).replaceAll('/', '\\'));
  if (output.length > maxOutput) return fail(Status.BUFFER_TOO_SMALL);
  return { output };
}
