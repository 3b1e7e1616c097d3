import { DceRpcError } from '../../dcerpc/index.ts';
import { fail } from '../../errors.ts';
import type { Request } from '../../request/request.ts';
import { Status } from '../../wire/status.ts';
import type { FsctlResult } from './result.ts';

/** [MS-SMB2] 3.3.5.15.3 */
export function pipeTransceive(request: Request, input: Buffer, maxOutput: number): FsctlResult {
  const open = request.anyOpen;
  if (open.kind !== 'pipe') return fail(Status.INVALID_DEVICE_REQUEST);
  try {
    const { data, more } = open.pipe.transceive(input, maxOutput);
    return { output: data, status: more ? Status.BUFFER_OVERFLOW : Status.SUCCESS };
  } catch (error) {
    if (error instanceof DceRpcError) return fail(Status.PIPE_DISCONNECTED);
    throw error;
  }
}
