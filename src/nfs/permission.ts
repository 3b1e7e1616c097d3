/** Who the caller is once squashed, and what the mode bits let that one do. */
import { Access, type CallContext } from '@holdfast/nfs-rpc';
import type { Attributes } from '../tree/contract.ts';

export interface Squash {
  readonly mode: 'none' | 'root' | 'all';
  /** Who squashed callers, and those without a credential, become. */
  readonly uid: number;
  readonly gid: number;
}

interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly gids: readonly number[];
}

function effectiveCaller(call: CallContext, squash: Squash): Caller {
  const { credential } = call;
  if (credential.flavor === 'none' || squash.mode === 'all')
    return { uid: squash.uid, gid: squash.gid, gids: [] };
  if (squash.mode === 'none') return credential;
  if (credential.uid === 0) return { uid: squash.uid, gid: squash.gid, gids: [] };
  const notRoot = (gid: number) => (gid === 0 ? squash.gid : gid);
  return { uid: credential.uid, gid: notRoot(credential.gid), gids: credential.gids.map(notRoot) };
}

const everybody = 0o444;
const r = 4;
const x = 1;

/** The rwx bits (0..7) of the class the caller falls into; root may read everything and run what anybody may run. */
function bitsFor(attributes: Attributes, call: CallContext, squash: Squash): number {
  const caller = effectiveCaller(call, squash);
  if (caller.uid === 0) return 6 | (attributes.kind === 'directory' || attributes.mode & 0o111 ? x : 0);
  if (caller.uid === attributes.uid) return (attributes.mode >> 6) & 7;
  const inGroup = caller.gid === attributes.gid || caller.gids.includes(attributes.gid);
  return (inGroup ? attributes.mode >> 3 : attributes.mode) & 7;
}

/** The `Access` bits of a read-only export (RFC 1813 §3.3.4). */
export function accessBits(attributes: Attributes, call: CallContext, squash: Squash): number {
  const bits = bitsFor(attributes, call, squash);
  let granted = 0;
  if (bits & r) granted |= Access.read;
  if (bits & x) granted |= attributes.kind === 'directory' ? Access.lookup : Access.execute;
  return granted;
}

/** Reading a file also goes with the right to run it, as a client must read a program to run it (RFC 1813 §4.4). */
export function mayRead(attributes: Attributes, call: CallContext, squash: Squash): boolean {
  if ((attributes.mode & everybody) === everybody) return true;
  const bits = bitsFor(attributes, call, squash);
  return (bits & r) !== 0 || (attributes.kind === 'file' && (bits & x) !== 0);
}

export function maySearch(attributes: Attributes, call: CallContext, squash: Squash): boolean {
  if ((attributes.mode & 0o111) === 0o111) return true;
  return (bitsFor(attributes, call, squash) & x) !== 0;
}
