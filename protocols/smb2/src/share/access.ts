/** Access rights: from the security descriptors of a share that stores them, else from the share's limits. */
import { createHash } from 'node:crypto';
import type { NodeAttributes } from '../backend.ts';
import { StatusError } from '../errors.ts';
import {
  accessCheck,
  decodeDescriptor,
  encodeDescriptor,
  inherit,
  mapGeneric,
  synthesise,
  WellKnownSid,
} from '../security/index.ts';
import type { Identity, SecurityDescriptor, Sid } from '../security/index.ts';
import { Access, FileAttribute } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import { isUnproven } from './identity.ts';
import type { Principal } from './identity.ts';
import type { Node, Volume } from './volume.ts';

/** The SID of a user. The server's GUID gives the machine part, a hash of the name gives the RID. */
function userSid({ identity, context }: Principal): Sid {
  if (isUnproven(identity)) return WellKnownSid.EVERYONE;
  const { serverGuid } = context.settings;
  const machine = [0, 4, 8].map((at) => serverGuid.readUInt32LE(at)).join('-');
  const digest = createHash('sha256').update(identity.userName.toLowerCase()).digest();
  return `S-1-5-21-${machine}-${1000 + (digest.readUInt32LE(0) & 0x3fffffff)}`;
}

function securityIdentity(principal: Principal): Identity {
  const own = userSid(principal);
  const isKnown = own !== WellKnownSid.EVERYONE;
  return {
    sids: isKnown ? [own, WellKnownSid.EVERYONE, WellKnownSid.AUTHENTICATED_USERS] : [WellKnownSid.EVERYONE],
  };
}

export async function descriptorOf(
  share: Volume,
  node: Node,
  attributes: NodeAttributes,
): Promise<SecurityDescriptor> {
  const streams = share.backend.changes?.streams;
  const owner = streams?.owner(node)?.node ?? node;
  const stored = await share.backend.changes?.securityDescriptors?.get(owner);
  return stored ? decodeDescriptor(stored) : synthesise(attributes);
}

/** Stores the descriptor of a new object: inherited, or as requested. */
export async function storeNewDescriptor(
  share: Volume,
  directory: Node,
  node: Node,
  principal: Principal,
  wanted: { kind: 'file' | 'directory'; explicit: Buffer | undefined; parentAttributes: NodeAttributes },
): Promise<void> {
  const store = share.backend.changes?.securityDescriptors;
  if (!store) return;
  const parent = await descriptorOf(share, directory, wanted.parentAttributes);
  const owner = userSid(principal);
  const explicit =
    wanted.explicit && wanted.explicit.length > 0 ? decodeDescriptor(wanted.explicit) : undefined;
  const descriptor = inherit(parent, wanted.kind, { owner, group: parent.group ?? owner }, explicit);
  await store.set(node, encodeDescriptor(descriptor));
}

/** Rights that nobody gets on a READONLY file ([MS-FSA] 2.1.5.1.2.1). */
const WRITES_CONTENT = Access.WRITE_DATA | Access.APPEND_DATA;

/**
 * Returns the rights that an open gets.
 * @param desired rights from the wire; may include generic rights and MAXIMUM_ALLOWED.
 * @throws StatusError ACCESS_DENIED or PRIVILEGE_NOT_HELD.
 */
export async function grantAccess(
  share: Volume,
  node: Node,
  principal: Principal,
  attributes: NodeAttributes,
  desired: number,
): Promise<number> {
  const wanted = mapGeneric(desired);
  const isMaximal = (wanted & Access.MAXIMUM_ALLOWED) !== 0;
  const explicit = wanted & ~Access.MAXIMUM_ALLOWED;
  const isReadOnlyFile =
    attributes.kind === 'file' && (attributes.dosAttributes & FileAttribute.READONLY) !== 0;
  const bound = share.maximalAccess & (isReadOnlyFile ? ~WRITES_CONTENT : -1);
  if ((explicit & Access.SYSTEM_SECURITY) !== 0) throw new StatusError(Status.PRIVILEGE_NOT_HELD);
  if ((explicit & ~bound) !== 0) throw new StatusError(Status.ACCESS_DENIED);
  if (share.backend.changes?.securityDescriptors === undefined) return isMaximal ? bound : explicit;
  return await checkDescriptor(share, node, principal, attributes, { explicit, isMaximal, bound });
}

async function checkDescriptor(
  share: Volume,
  node: Node,
  principal: Principal,
  attributes: NodeAttributes,
  wanted: { explicit: number; isMaximal: boolean; bound: number },
): Promise<number> {
  const descriptor = await descriptorOf(share, node, attributes);
  const own = accessCheck(descriptor, securityIdentity(principal), Access.MAXIMUM_ALLOWED).granted;
  const needsMore = wanted.isMaximal || (wanted.explicit & ~own) !== 0;
  const maximal = (needsMore ? own | (await grantedByParent(share, node, principal)) : own) & wanted.bound;
  if ((wanted.explicit & ~maximal) !== 0) throw new StatusError(Status.ACCESS_DENIED);
  return wanted.explicit | (wanted.isMaximal ? maximal : 0);
}

/**
 * Rights from the directory: DELETE_CHILD there allows DELETE here, list there allows READ_ATTRIBUTES here ([MS-FSA]
 * 2.1.5.1.2.1).
 */
async function grantedByParent(share: Volume, node: Node, principal: Principal): Promise<number> {
  const place = share.backend.parent(share.backend.changes?.streams?.owner(node)?.node ?? node);
  if (!place) return 0;
  const call = { caller: principal.caller, signal: principal.context.neverAborted };
  const attributes = await share.backend.attributes(place.directory, call);
  const descriptor = await descriptorOf(share, place.directory, attributes);
  const { granted } = accessCheck(descriptor, securityIdentity(principal), Access.MAXIMUM_ALLOWED);
  return (
    ((granted & Access.DELETE_CHILD) === 0 ? 0 : Access.DELETE) |
    ((granted & Access.READ_DATA) === 0 ? 0 : Access.READ_ATTRIBUTES)
  );
}

/** MaximalAccess of MxAc: the rights of an open with MAXIMUM_ALLOWED. */
export async function maximalAccess(
  share: Volume,
  node: Node,
  principal: Principal,
  attributes: NodeAttributes,
): Promise<number> {
  try {
    return await grantAccess(share, node, principal, attributes, Access.MAXIMUM_ALLOWED);
  } catch (error) {
    if (error instanceof StatusError) return 0;
    throw error;
  }
}

/** @throws StatusError ACCESS_DENIED unless the open has all these rights. */
export function requireAccess(open: { readonly grantedAccess: number }, rights: number): void {
  if ((open.grantedAccess & rights) !== rights) throw new StatusError(Status.ACCESS_DENIED);
}
