/** Portmap v2, RFC 1833 §3.1. */
import { type Decoded, linkedList, struct, uint32 } from '../xdr/codec.ts';

export const PORTMAP_PROGRAM = 100000;
export const PORTMAP_VERSION = 2;
export const PORTMAP_PORT = 111;

/** PMAPPROC_*, RFC 1833 §3.2. */
export const PortmapProcedure = { null: 0, set: 1, unset: 2, getport: 3, dump: 4 } as const;

/** IPPROTO_TCP and IPPROTO_UDP. */
export const Protocol = { tcp: 6, udp: 17 } as const;

/** `struct mapping { unsigned int prog; unsigned int vers; unsigned int prot; unsigned int port; };` */
export const mapping = struct({ program: uint32, version: uint32, protocol: uint32, port: uint32 });
export type Mapping = Decoded<typeof mapping>;

/** `struct pmaplist { mapping map; pmaplist *next; };` */
export const mappingList = linkedList(mapping);
