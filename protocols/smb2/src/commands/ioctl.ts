import { fail } from '../errors.ts';
import { dataOffset, reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { HEADER_SIZE } from '../wire/constants.ts';
import { IOCTL_IS_FSCTL, ioctlRequest, ioctlResponse } from '../wire/query.ts';
import { Status } from '../wire/status.ts';
import { align, area } from '../wire/struct.ts';
import { fsctls } from './fsctl/table.ts';

/** [MS-SMB2] 3.3.5.15 */
export async function ioctl(request: Request): Promise<Reply> {
  const { packet, context } = request;
  const body = ioctlRequest.decode(packet, HEADER_SIZE);
  const { maxTransactSize } = context.limits;
  if (body.flags !== IOCTL_IS_FSCTL) return fail(Status.NOT_SUPPORTED);
  if (body.inputCount > maxTransactSize || body.maxOutputResponse > maxTransactSize)
    return fail(Status.INVALID_PARAMETER);
  const input = area(packet, body.inputOffset, body.inputCount, HEADER_SIZE + ioctlRequest.size);
  const row = fsctls.get(body.controlCode);
  if (!row) return fail(Status.INVALID_DEVICE_REQUEST);
  const { output, status } = await row.handle(request, input, body.maxOutputResponse);
  const inputOffset = dataOffset(ioctlResponse.size);
  return reply(
    ioctlResponse,
    {
      controlCode: body.controlCode,
      fileId: body.fileId,
      inputOffset,
      inputCount: 0,
      outputOffset: align(inputOffset, 8),
      outputCount: output.length,
      flags: 0,
    },
    output,
    status ?? Status.SUCCESS,
  );
}
