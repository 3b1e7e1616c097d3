/** Workstation service ([MS-WKST]): the one operation with which clients ask for the server's name and domain. */
import {
  type Operation,
  PLATFORM_ID,
  type RpcInterface,
  VERSION_MAJOR,
  VERSION_MINOR,
  WinError,
} from './interface.ts';
import { NdrWriter } from './ndr.ts';
import { wireUuid } from './pdu.ts';

/** NetrWkstaGetInfo ([MS-WKST] 3.2.4.1): WKSTA_INFO_100, 101, 102 (2.2.5.1 to 2.2.5.3). */
const workstationGetInfo: Operation = (input, server) => {
  input.unique(() => input.string());
  const level = input.u32();
  const output = new NdrWriter();
  output.u32(level);
  if (level < 100 || level > 102) return output.u32(0).u32(WinError.INVALID_LEVEL).done();
  output
    .pointer(server, () => {
      output.u32(PLATFORM_ID).stringPointer(server.serverName).stringPointer(server.domain);
      output.u32(VERSION_MAJOR).u32(VERSION_MINOR);
      if (level >= 101) output.stringPointer('');
      if (level === 102) output.u32(server.sessions?.().length ?? 0);
    })
    .flush();
  return output.u32(WinError.SUCCESS).done();
};

export const wkssvc: RpcInterface = {
  syntax: { uuid: wireUuid('6bffd098-a112-3610-9833-46c3f87e345a'), major: 1, minor: 0 },
  operations: new Map([[0, workstationGetInfo]]),
};
