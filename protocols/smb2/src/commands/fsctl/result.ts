import type { NtStatus } from '../../wire/status.ts';

export interface FsctlResult {
  readonly output: Buffer;
  readonly status?: NtStatus;
}
