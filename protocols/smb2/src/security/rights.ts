/** Generic rights in terms of files ([MS-SMB2] 2.2.13.1, [MS-DTYP] 2.4.3). */
import { Access } from '../wire/constants.ts';

export const FILE_GENERIC_READ =
  Access.READ_DATA | Access.READ_ATTRIBUTES | Access.READ_EA | Access.READ_CONTROL | Access.SYNCHRONIZE;
export const FILE_GENERIC_WRITE =
  Access.WRITE_DATA |
  Access.APPEND_DATA |
  Access.WRITE_ATTRIBUTES |
  Access.WRITE_EA |
  Access.READ_CONTROL |
  Access.SYNCHRONIZE;
export const FILE_GENERIC_EXECUTE =
  Access.EXECUTE | Access.READ_ATTRIBUTES | Access.READ_CONTROL | Access.SYNCHRONIZE;

const GENERIC = [
  [Access.GENERIC_READ, FILE_GENERIC_READ],
  [Access.GENERIC_WRITE, FILE_GENERIC_WRITE],
  [Access.GENERIC_EXECUTE, FILE_GENERIC_EXECUTE],
  [Access.GENERIC_ALL, Access.ALL],
] as const;

/** Replaces generic rights with the file rights they stand for. Returns an unsigned 32-bit number. */
export function mapGeneric(mask: number): number {
  let mapped = mask;
  for (const [generic, specific] of GENERIC) {
    if ((mask & generic) !== 0) mapped = (mapped & ~generic) | specific;
  }
  return mapped >>> 0;
}
