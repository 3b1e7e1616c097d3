import { BlockList } from 'node:net';

import { MAX_PORT_MAPPINGS } from '../limits.ts';
import type { Peer } from '../rpc/context.ts';
import { nullProcedure, type RpcProcedure, type RpcProgram } from '../rpc/program.ts';
import { type Mapping, mapping, mappingList, PORTMAP_PROGRAM, PORTMAP_VERSION } from './wire.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const isLocal = ({ address }: Peer): boolean =>
  loopback.check(address, address.includes(':') ? 'ipv6' : 'ipv4');

/** Port of each program, version and protocol. */
export class PortmapTable {
  readonly #rows: Mapping[] = [];

  /** Returns false when the program, version and protocol already have a port, or the table is full. */
  set(row: Mapping): boolean {
    if (this.#rows.length >= MAX_PORT_MAPPINGS || this.port(row) !== 0) return false;
    this.#rows.push({ ...row });
    return true;
  }

  /** Removes the rows of all protocols (RFC 1833 §3.2, PMAPPROC_UNSET). Returns false when there was none. */
  unset(program: number, version: number): boolean {
    const kept = this.#rows.filter((row) => row.program !== program || row.version !== version);
    return this.#rows.splice(0, Infinity, ...kept).length !== kept.length;
  }

  /** Returns 0 when there is none. */
  port({ program, version, protocol }: Omit<Mapping, 'port'>): number {
    const found = this.#rows.find(
      (row) => row.program === program && row.version === version && row.protocol === protocol,
    );
    return found?.port ?? 0;
  }

  /**
   * The answer of GETPORT. When the version is not served, returns the port of another version, as rpcbind does: the
   * program itself then tells the client its versions (PROG_MISMATCH).
   */
  portOfAny(row: Omit<Mapping, 'port'>): number {
    const other = this.#rows.find(
      ({ program, protocol }) => program === row.program && protocol === row.protocol,
    );
    return this.port(row) || (other?.port ?? 0);
  }

  rows(): readonly Mapping[] {
    return this.#rows;
  }
}

/**
 * Portmap, program 100000, version 2 (RFC 1833 §3.2). Without CALLIT, which would let clients send calls from this
 * host's address.
 */
export function portmapProgram(table: PortmapTable): RpcProgram {
  const rows: readonly RpcProcedure[] = [
    /* 0 */ nullProcedure,
    /* 1 */ change('SET', (row) => table.set(row)),
    /* 2 */ change('UNSET', (row) => table.unset(row.program, row.version)),
    /* 3 */ {
      name: 'GETPORT',
      run: (args, call) => {
        const port = table.portOfAny(mapping.decode(args));
        const reply = call.reply(4);
        reply.uint32(port);
        return reply;
      },
    },
    /* 4 */ {
      name: 'DUMP',
      run: (_args, call) => {
        const reply = call.reply(512);
        mappingList.encode(reply, table.rows());
        return reply;
      },
    },
  ];
  const versions = new Map([[PORTMAP_VERSION, rows]]);
  // SET and UNSET trust the address of the sender, which UDP does not prove: TCP only.
  return { number: PORTMAP_PROGRAM, name: 'PORTMAP', versions, byDatagram: new Set([0, 3, 4]) };
}

/** SET and UNSET: only for clients on this host. */
function change(name: string, apply: (row: Mapping) => boolean): RpcProcedure {
  return {
    name,
    run: (args, call) => {
      const row = mapping.decode(args);
      const reply = call.reply(4);
      const allowed = isLocal(call.peer);
      if (!allowed) reply.status = 'REFUSED';
      reply.bool(allowed && apply(row));
      return reply;
    },
  };
}
