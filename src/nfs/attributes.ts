/** The fattr3 of a node, made once for each attributes object. */
import { FileType, type FileAttributes, type NfsTime } from '@holdfast/nfs-rpc';
import type { Attributes } from '../tree/contract.ts';
import type { TreeNode } from '../tree/node.ts';
import { RecentlyMade } from '../tree/recently-made.ts';

const types: Readonly<Record<Attributes['kind'], FileType>> = {
  file: FileType.regular,
  directory: FileType.directory,
  symlink: FileType.symlink,
  fifo: FileType.fifo,
  socket: FileType.socket,
  block: FileType.block,
  character: FileType.character,
  unknown: FileType.regular,
};

/** The last second that nfstime3 can express, in February 2106. */
const lastSecond = 0xffffffff;

/** nfstime3 has 32 unsigned bits of seconds: a time outside that range becomes the nearest one inside. */
function nfsTime(time: NfsTime): NfsTime {
  if (time.seconds >= 0 && time.seconds <= lastSecond) return time;
  return { seconds: time.seconds > lastSecond ? lastSecond : 0, nanoseconds: 0 };
}

const cache = new RecentlyMade<Attributes, FileAttributes>();

export function fileAttributes(node: TreeNode, attributes: Attributes): FileAttributes {
  return cache.get(attributes, () => ({
    type: types[attributes.kind],
    mode: attributes.mode,
    nlink: attributes.links,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    used: attributes.used,
    rdevMajor: attributes.rdevMajor,
    rdevMinor: attributes.rdevMinor,
    fsidHigh: node.identity.fsid.high,
    fsidLow: node.identity.fsid.low,
    fileidHigh: node.idHigh,
    fileidLow: node.idLow,
    atime: nfsTime(attributes.atime),
    mtime: nfsTime(attributes.mtime),
    ctime: nfsTime(attributes.ctime),
  }));
}
