import { StatusError } from './backend.ts';
import { MalformedError } from './wire/malformed.ts';
import type { NtStatus } from './wire/status.ts';

export { MalformedError } from './wire/malformed.ts';
export { StatusError } from './backend.ts';

/** An error to which the specification responds by ending the connection. */
export class DisconnectError extends MalformedError {}

/** A failure whose ERROR response carries data ([MS-SMB2] 2.2.2.2). */
export class DetailedStatusError extends StatusError {
  readonly data: Buffer;
  constructor(status: NtStatus, data: Buffer) {
    super(status);
    this.data = data;
  }
}

export const fail = (status: NtStatus): never => {
  throw new StatusError(status);
};
