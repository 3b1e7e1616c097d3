/** File system controls, by code ([MS-SMB2] 2.2.31, [MS-FSCC] 2.3). */
import type { Awaitable } from '../../backend.ts';
import { fail } from '../../errors.ts';
import type { Request } from '../../request/request.ts';
import { Status } from '../../wire/status.ts';
import type { NtStatus } from '../../wire/status.ts';
import type { FsctlResult } from './result.ts';
import { copyChunk, requestResumeKey } from './copy-chunk.ts';
import { duplicateExtents } from './duplicate.ts';
import { networkInterfaces, validateNegotiate } from './negotiation.ts';
import { pipeTransceive } from './pipe.ts';
import { getCompression, objectId, setCompression } from './object.ts';
import { getReparsePoint } from './reparse.ts';
import { queryAllocatedRanges, setSparse, setZeroData } from './sparse.ts';

export interface FsctlRow {
  /** False when the control does not use its FileId. */
  readonly open?: false;
  readonly handle: (request: Request, input: Buffer, maxOutput: number) => Awaitable<FsctlResult>;
}

/** Unknown controls count as acting on an open: the FileId is checked before the control is refused. */
export const controlActsOnOpen = (code: number): boolean => fsctls.get(code)?.open !== false;

const refuse = (status: NtStatus) => (): FsctlResult => fail(status);

const Fsctl = {
  DFS_GET_REFERRALS: 0x00060194,
  DFS_GET_REFERRALS_EX: 0x000601b0,
  PIPE_PEEK: 0x0011400c,
  PIPE_WAIT: 0x00110018,
  PIPE_TRANSCEIVE: 0x0011c017,
  SRV_COPYCHUNK: 0x001440f2,
  SRV_COPYCHUNK_WRITE: 0x001480f2,
  SRV_ENUMERATE_SNAPSHOTS: 0x00144064,
  SRV_REQUEST_RESUME_KEY: 0x00140078,
  SRV_READ_HASH: 0x001441bb,
  LMR_REQUEST_RESILIENCY: 0x001401d4,
  QUERY_NETWORK_INTERFACE_INFO: 0x001401fc,
  VALIDATE_NEGOTIATE_INFO: 0x00140204,
  GET_REPARSE_POINT: 0x000900a8,
  CREATE_OR_GET_OBJECT_ID: 0x000900c0,
  GET_COMPRESSION: 0x0009003c,
  SET_COMPRESSION: 0x0009c040,
  SET_SPARSE: 0x000900c4,
  SET_ZERO_DATA: 0x000980c8,
  QUERY_ALLOCATED_RANGES: 0x000940cf,
  DUPLICATE_EXTENTS_TO_FILE: 0x00098344,
} as const;

export const fsctls: ReadonlyMap<number, FsctlRow> = new Map<number, FsctlRow>([
  // There is no DFS namespace. On this status clients use the path as it is (3.3.5.15.2).
  [Fsctl.DFS_GET_REFERRALS, { open: false, handle: refuse(Status.FS_DRIVER_REQUIRED) }],
  [Fsctl.DFS_GET_REFERRALS_EX, { open: false, handle: refuse(Status.FS_DRIVER_REQUIRED) }],
  [Fsctl.PIPE_TRANSCEIVE, { handle: pipeTransceive }],
  [Fsctl.PIPE_WAIT, { open: false, handle: refuse(Status.NOT_SUPPORTED) }],
  [Fsctl.PIPE_PEEK, { handle: refuse(Status.NOT_SUPPORTED) }],
  [Fsctl.SRV_COPYCHUNK, { handle: (request, input, most) => copyChunk(request, input, most, true) }],
  [Fsctl.SRV_COPYCHUNK_WRITE, { handle: (request, input, most) => copyChunk(request, input, most, false) }],
  [Fsctl.SRV_REQUEST_RESUME_KEY, { handle: requestResumeKey }],
  [Fsctl.SRV_ENUMERATE_SNAPSHOTS, { handle: refuse(Status.NOT_SUPPORTED) }],
  [Fsctl.SRV_READ_HASH, { handle: refuse(Status.NOT_SUPPORTED) }],
  [Fsctl.LMR_REQUEST_RESILIENCY, { handle: refuse(Status.NOT_SUPPORTED) }],
  [Fsctl.QUERY_NETWORK_INTERFACE_INFO, { open: false, handle: networkInterfaces }],
  [Fsctl.VALIDATE_NEGOTIATE_INFO, { open: false, handle: validateNegotiate }],
  [Fsctl.GET_REPARSE_POINT, { handle: getReparsePoint }],
  [Fsctl.CREATE_OR_GET_OBJECT_ID, { handle: objectId }],
  [Fsctl.GET_COMPRESSION, { handle: getCompression }],
  [Fsctl.SET_COMPRESSION, { handle: setCompression }],
  [Fsctl.SET_SPARSE, { handle: setSparse }],
  [Fsctl.SET_ZERO_DATA, { handle: setZeroData }],
  [Fsctl.DUPLICATE_EXTENTS_TO_FILE, { handle: duplicateExtents }],
  [Fsctl.QUERY_ALLOCATED_RANGES, { handle: queryAllocatedRanges }],
]);
