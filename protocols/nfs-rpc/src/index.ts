/** ONC RPC, portmap v2, MOUNT v3 and NFSv3 servers. */
export * from './backend.ts';
export * from './status.ts';
export type { CallContext, Credential, Peer } from './rpc/context.ts';
export type { CallFinished, CloseReason, RpcHooks } from './hooks.ts';
export { defaultLimits, MAX_TRANSFER, type RpcLimits } from './limits.ts';
export { RpcServer, type RpcServerOptions, type TcpListenOptions } from './rpc/server.ts';
export type { RpcProcedure, RpcProgram } from './rpc/program.ts';
export { RpcClient, RpcClientError, type RpcClientOptions } from './rpc/client.ts';
export { MalformedError } from './xdr/error.ts';
export { NFS_PROGRAM, NFS_VERSION, nfs3Program } from './nfs3/program.ts';
export { Nfs3Client, NfsFailure, type Nfs3ClientOptions } from './nfs3/client.ts';
export { MOUNT_PROGRAM, MOUNT_VERSION, mountProgram } from './mount/program.ts';
export { portmapProgram, PortmapTable } from './portmap/program.ts';
export { type Mapping, PORTMAP_PORT, PORTMAP_PROGRAM, PORTMAP_VERSION, Protocol } from './portmap/wire.ts';
export {
  listPrograms,
  lookUpPort,
  type PortmapAddress,
  registerPrograms,
  unregisterPrograms,
} from './portmap/client.ts';
