import { RpcClient } from '../rpc/client.ts';
import { bool, nothing, uint32 } from '../xdr/codec.ts';
import {
  type Mapping,
  mapping,
  mappingList,
  PORTMAP_PORT,
  PORTMAP_PROGRAM,
  PORTMAP_VERSION,
  PortmapProcedure,
} from './wire.ts';

export interface PortmapAddress {
  /** Default: 127.0.0.1. rpcbind accepts changes from its own host only. */
  readonly host?: string;
  /** Default: 111. */
  readonly port?: number;
  /** In ms. Default: 10,000. */
  readonly timeoutMs?: number;
}

async function withPortmap<T>(address: PortmapAddress, work: (client: RpcClient) => Promise<T>): Promise<T> {
  const client = await RpcClient.open({
    host: address.host ?? '127.0.0.1',
    port: address.port ?? PORTMAP_PORT,
    timeoutMs: address.timeoutMs ?? 10_000,
    program: PORTMAP_PROGRAM,
    version: PORTMAP_VERSION,
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** Registers programs with a running rpcbind and replaces their old registrations. Resolves with false when it refused one. */
export function registerPrograms(rows: readonly Mapping[], address: PortmapAddress = {}): Promise<boolean> {
  return withPortmap(address, async (client) => {
    await unset(client, rows);
    let all = true;
    for (const row of rows) all = (await client.call(PortmapProcedure.set, mapping, row, bool)) && all;
    return all;
  });
}

/** Removes programs from a running rpcbind. */
export function unregisterPrograms(rows: readonly Mapping[], address: PortmapAddress = {}): Promise<void> {
  return withPortmap(address, (client) => unset(client, rows));
}

async function unset(client: RpcClient, rows: readonly Mapping[]): Promise<void> {
  const pairs = new Map(rows.map((row) => [`${row.program} ${row.version}`, row]));
  for (const row of pairs.values()) await client.call(PortmapProcedure.unset, mapping, row, bool);
}

/** PMAPPROC_GETPORT: 0 when the program is not registered. */
export function lookUpPort(row: Omit<Mapping, 'port'>, address: PortmapAddress = {}): Promise<number> {
  return withPortmap(address, (client) =>
    client.call(PortmapProcedure.getport, mapping, { ...row, port: 0 }, uint32),
  );
}

/** PMAPPROC_DUMP. */
export function listPrograms(address: PortmapAddress = {}): Promise<readonly Mapping[]> {
  return withPortmap(address, (client) => client.call(PortmapProcedure.dump, nothing, {}, mappingList));
}
