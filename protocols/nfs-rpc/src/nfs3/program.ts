import type { NfsBackend } from '../backend.ts';
import { nullProcedure, type RpcProgram } from '../rpc/program.ts';
import { access } from './access.ts';
import { commit } from './commit.ts';
import { create } from './create.ts';
import { fsinfo } from './fsinfo.ts';
import { fsstat } from './fsstat.ts';
import { getattr } from './getattr.ts';
import { link } from './link.ts';
import { lookup } from './lookup.ts';
import { mkdir } from './mkdir.ts';
import { mknod } from './mknod.ts';
import { pathconf } from './pathconf.ts';
import { bind, type Procedure } from './procedure.ts';
import { read } from './read.ts';
import { type ReadsPerFile, ReadTurns } from './read-turns.ts';
import { readdir } from './readdir.ts';
import { readdirplus } from './readdirplus.ts';
import { readlink } from './readlink.ts';
import { remove, rmdir } from './remove.ts';
import { rename } from './rename.ts';
import { setattr } from './setattr.ts';
import { symlink } from './symlink.ts';
import { write } from './write.ts';

export const NFS_PROGRAM = 100003;
export const NFS_VERSION = 3;

/** RFC 1813 §3.3: the procedures by number; number 0 is NULL. */
const procedures: readonly Procedure[] = [
  /*  1 */ getattr,
  /*  2 */ setattr,
  /*  3 */ lookup,
  /*  4 */ access,
  /*  5 */ readlink,
  /*  6 */ read,
  /*  7 */ write,
  /*  8 */ create,
  /*  9 */ mkdir,
  /* 10 */ symlink,
  /* 11 */ mknod,
  /* 12 */ remove,
  /* 13 */ rmdir,
  /* 14 */ rename,
  /* 15 */ link,
  /* 16 */ readdir,
  /* 17 */ readdirplus,
  /* 18 */ fsstat,
  /* 19 */ fsinfo,
  /* 20 */ pathconf,
  /* 21 */ commit,
];

/** NFS, program 100003, version 3. */
export function nfs3Program<N>(backend: NfsBackend<N>, readsPerFile?: ReadsPerFile): RpcProgram {
  const turns = new ReadTurns(backend, readsPerFile);
  const rows = procedures.map((row) => bind(row, backend, turns));
  return { number: NFS_PROGRAM, name: 'NFS', versions: new Map([[NFS_VERSION, [nullProcedure, ...rows]]]) };
}
