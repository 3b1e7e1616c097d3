/** Applies squashing to an NFS caller, and decides what the caller may do. */
import { Access, type CallContext } from '@holdfast/nfs-rpc';
import { actor, mayRead, maySearch, Permission, permissionBits, type Actor } from '../access.ts';
import type { Attributes } from '../tree/contract.ts';

export interface Squash {
  readonly mode: 'none' | 'root' | 'all';
  /** User and group of squashed callers and of those without a credential. */
  readonly uid: number;
  readonly gid: number;
}

function actorOf({ credential }: CallContext, squash: Squash): Actor {
  if (credential.flavor === 'none' || squash.mode === 'all') return actor(squash.uid, squash.gid);
  if (squash.mode === 'none') return credential;
  if (credential.uid === 0) return actor(squash.uid, squash.gid);
  const notRoot = (gid: number) => (gid === 0 ? squash.gid : gid);
  return { uid: credential.uid, gid: notRoot(credential.gid), gids: credential.gids.map(notRoot) };
}

/** The `Access` bits of a read-only export (RFC 1813 §3.3.4). */
export function accessBits(attributes: Attributes, call: CallContext, squash: Squash): number {
  const bits = permissionBits(attributes, actorOf(call, squash));
  let granted = 0;
  if (bits & Permission.read) granted |= Access.read;
  if (bits & Permission.execute) granted |= attributes.kind === 'directory' ? Access.lookup : Access.execute;
  return granted;
}

/** Permission to execute a file includes reading it, since the client must read a program to run it (RFC 1813 §4.4). */
export function callerMayRead(attributes: Attributes, call: CallContext, squash: Squash): boolean {
  const who = () => actorOf(call, squash);
  return mayRead(attributes, who) || (attributes.kind === 'file' && maySearch(attributes, who));
}

export function callerMaySearch(attributes: Attributes, call: CallContext, squash: Squash): boolean {
  return maySearch(attributes, () => actorOf(call, squash));
}
