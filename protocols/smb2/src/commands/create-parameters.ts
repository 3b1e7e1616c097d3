import { StatusError } from '../errors.ts';
import { Access, CreateOption, Disposition, ShareAccess } from '../wire/constants.ts';
import type { createRequest } from '../wire/create.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';

export type CreateBody = ReturnType<typeof createRequest.decode>;

const BAD_IMPERSONATION_LEVEL: NtStatus = 0xc00000a5;
const HIGHEST_IMPERSONATION = 3;
/** Undefined bits of an access mask ([MS-SMB2] 2.2.13.1). */
const RESERVED_ACCESS = 0x0ce0fe00;
/** Attributes that a CREATE may set ([MS-FSCC] 2.6). */
const KNOWN_ATTRIBUTES = 0x00007fb7;
const UNKNOWN_OPTIONS = 0xff000000;
const UNSUPPORTED_OPTIONS =
  CreateOption.CREATE_TREE_CONNECTION | CreateOption.OPEN_BY_FILE_ID | CreateOption.RESERVE_OPFILTER;

const check = (holds: boolean, status: NtStatus): void => {
  if (!holds) throw new StatusError(status);
};

/** Checks that need no file ([MS-SMB2] 3.3.5.9, [MS-FSA] 2.1.5.1). */
export function checkParameters(body: CreateBody): void {
  const has = (option: number): boolean => (body.options & option) !== 0;
  check(body.impersonationLevel <= HIGHEST_IMPERSONATION, BAD_IMPERSONATION_LEVEL);
  check(body.disposition <= Disposition.OVERWRITE_IF, Status.INVALID_PARAMETER);
  check((body.options & UNKNOWN_OPTIONS) === 0, Status.INVALID_PARAMETER);
  check((body.shareAccess & ~ShareAccess.ALL) === 0, Status.INVALID_PARAMETER);
  check(body.desiredAccess !== 0 && (body.desiredAccess & RESERVED_ACCESS) === 0, Status.ACCESS_DENIED);
  check((body.fileAttributes & ~KNOWN_ATTRIBUTES) === 0, Status.INVALID_PARAMETER);
  check(
    !(has(CreateOption.DIRECTORY_FILE) && has(CreateOption.NON_DIRECTORY_FILE)),
    Status.INVALID_PARAMETER,
  );
  const replaces =
    body.disposition === Disposition.SUPERSEDE ||
    body.disposition === Disposition.OVERWRITE ||
    body.disposition === Disposition.OVERWRITE_IF;
  check(!(has(CreateOption.DIRECTORY_FILE) && replaces), Status.INVALID_PARAMETER);
  check((body.options & UNSUPPORTED_OPTIONS) === 0, Status.NOT_SUPPORTED);
  const mayDelete =
    (body.desiredAccess & (Access.DELETE | Access.GENERIC_ALL | Access.MAXIMUM_ALLOWED)) !== 0;
  check(!has(CreateOption.DELETE_ON_CLOSE) || mayDelete, Status.INVALID_PARAMETER);
}
