import { MountError, type MountBackend } from '../backend.ts';
import { MAX_MOUNT_PATH } from '../limits.ts';
import type { RpcCall } from '../rpc/call.ts';
import { AuthFlavor } from '../rpc/message.ts';
import { nullProcedure, type RpcProcedure, type RpcProgram } from '../rpc/program.ts';
import type { ReplyWriter } from '../rpc/reply.ts';
import { MountStatus } from '../status.ts';
import { MountList } from './list.ts';
import { directoryPath, exportList, mountList, mountResult } from './wire.ts';

export const MOUNT_PROGRAM = 100005;
export const MOUNT_VERSION = 3;

const statusNames = new Map<number, string>(
  Object.entries(MountStatus).map(([name, value]) => [value, name]),
);

/** MOUNT, program 100005, version 3 (RFC 1813 §5.2). */
export function mountProgram(backend: MountBackend): RpcProgram {
  const mounts = new MountList();
  const rows: readonly RpcProcedure[] = [
    /* 0 */ nullProcedure,
    /* 1 */ mnt(backend, mounts),
    /* 2 */ { name: 'DUMP', run: (_args, call) => dump(mounts, call) },
    /* 3 */ { name: 'UMNT', run: (args, call) => unmount(backend, mounts, directoryPath.decode(args), call) },
    /* 4 */ { name: 'UMNTALL', run: (_args, call) => unmountAll(backend, mounts, call) },
    /* 5 */ { name: 'EXPORT', run: (_args, call) => exports(backend, call) },
  ];
  const versions = new Map([[MOUNT_VERSION, rows]]);
  // mount.nfs uses UDP first. DUMP and EXPORT are TCP only: their replies can be much longer than the request
  // (amplification).
  return { number: MOUNT_PROGRAM, name: 'MOUNT', versions, byDatagram: new Set([0, 1, 3, 4]) };
}

/** §5.2.1 `mountres3 MOUNTPROC3_MNT(dirpath)` */
function mnt(backend: MountBackend, mounts: MountList): RpcProcedure {
  const refused = (error: unknown, call: RpcCall): ReplyWriter => {
    const expected = error instanceof MountError && error.status !== MountStatus.OK;
    if (!expected) call.bug(error);
    const status = expected ? error.status : MountStatus.SERVERFAULT;
    const reply = call.reply(16);
    mountResult.encode(reply, { status });
    reply.status = statusNames.get(status) ?? String(status);
    return reply;
  };
  const answer = async (path: string, call: RpcCall): Promise<ReplyWriter> => {
    try {
      if (path.length > MAX_MOUNT_PATH) throw new MountError(MountStatus.NAMETOOLONG);
      if (path.includes('\0')) throw new MountError(MountStatus.INVAL);
      const handle = await backend.mount(path, call);
      mounts.add(call.peer.address, path);
      const reply = call.reply(128);
      mountResult.encode(reply, { status: MountStatus.OK, handle, flavors: [AuthFlavor.sys] });
      return reply;
    } catch (error) {
      return refused(error, call);
    }
  };
  return {
    name: 'MNT',
    run: (args, call) => {
      call.failWith = (error) => refused(error, call);
      return answer(directoryPath.decode(args), call);
    },
  };
}

/** §5.2.2 `mountlist MOUNTPROC3_DUMP(void)` */
function dump(mounts: MountList, call: RpcCall): ReplyWriter {
  const reply = call.reply(512);
  mountList.encode(reply, mounts.entries());
  return reply;
}

/** §5.2.3 `void MOUNTPROC3_UMNT(dirpath)` */
function unmount(backend: MountBackend, mounts: MountList, path: string, call: RpcCall): ReplyWriter {
  backend.unmounted?.(path, call);
  mounts.remove(call.peer.address, path);
  return call.reply(0);
}

/** §5.2.4 `void MOUNTPROC3_UMNTALL(void)` */
function unmountAll(backend: MountBackend, mounts: MountList, call: RpcCall): ReplyWriter {
  backend.unmounted?.('*', call);
  mounts.removeAll(call.peer.address);
  return call.reply(0);
}

/** §5.2.5 `exports MOUNTPROC3_EXPORT(void)` */
function exports(backend: MountBackend, call: RpcCall): ReplyWriter {
  const reply = call.reply(512);
  exportList.encode(reply, backend.exports());
  return reply;
}
