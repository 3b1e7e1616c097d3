/** SMB2_FILEID ([MS-SMB2] 2.2.14.1). */
import type { Field } from './struct.ts';

export interface FileId {
  readonly persistent: bigint;
  readonly volatile: bigint;
}

export const fileId: Field<FileId> = {
  size: 16,
  read: (view, at) => ({
    persistent: view.getBigUint64(at, true),
    volatile: view.getBigUint64(at + 8, true),
  }),
  write: (view, at, value) => {
    view.setBigUint64(at, value.persistent, true);
    view.setBigUint64(at + 8, value.volatile, true);
  },
};
