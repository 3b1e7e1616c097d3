import { DisconnectError, fail } from '../../errors.ts';
import type { Request } from '../../request/request.ts';
import { Dialect } from '../../wire/constants.ts';
import { Status } from '../../wire/status.ts';
import { bytes, structure, u16, u32 } from '../../wire/struct.ts';
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

/** [MS-SMB2] 3.3.5.15.12: what differs from the NEGOTIATE was changed on the way, so the connection ends. */
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

/** [MS-SMB2] 3.3.5.15.11: one channel is all there is, so no interface is named. */
export function networkInterfaces(request: Request): FsctlResult {
  return request.dialect < Dialect.SMB_3_0 ? fail(Status.INVALID_DEVICE_REQUEST) : fail(Status.NOT_SUPPORTED);
}
