import { FileType } from '../backend.ts';
import { MOUNT_PROGRAM } from '../mount/program.ts';
import { directoryPath } from '../mount/wire.ts';
import { accessShape } from '../nfs3/access.ts';
import { commitShape } from '../nfs3/commit.ts';
import { createShape } from '../nfs3/create.ts';
import { fsinfoShape } from '../nfs3/fsinfo.ts';
import { fsstatShape } from '../nfs3/fsstat.ts';
import { getattrShape } from '../nfs3/getattr.ts';
import { linkShape } from '../nfs3/link.ts';
import { lookupShape } from '../nfs3/lookup.ts';
import { mkdirShape } from '../nfs3/mkdir.ts';
import { mknodShape } from '../nfs3/mknod.ts';
import { pathconfShape } from '../nfs3/pathconf.ts';
import type { Shape } from '../nfs3/procedure.ts';
import { readShape } from '../nfs3/read.ts';
import { readdirShape } from '../nfs3/readdir.ts';
import { readdirplusShape } from '../nfs3/readdirplus.ts';
import { readlinkShape } from '../nfs3/readlink.ts';
import { removeShape, rmdirShape } from '../nfs3/remove.ts';
import { renameShape } from '../nfs3/rename.ts';
import { setattrShape } from '../nfs3/setattr.ts';
import { symlinkShape } from '../nfs3/symlink.ts';
import { writeShape } from '../nfs3/write.ts';
import { callRecord, procedureNumber } from './harness.ts';
import type { MemoryBackend } from './memory-backend.ts';

/** One valid call record for each procedure with arguments. Fills the tree that the calls refer to. */
export function recordedCalls(backend: MemoryBackend): Buffer[] {
  const root = backend.handle(backend.root);
  const file = backend.handle(backend.add(backend.root, 'file', FileType.regular, Buffer.alloc(5000, 'x')));
  const symlink = backend.handle(backend.makeSymlink(backend.root, 'link', 'file', {}));
  for (let index = 0; index < 20; index++) backend.add(backend.root, `entry ${index}`, FileType.regular);
  const where = { directory: root, name: 'name' };
  const verifier = Buffer.from('verifier');
  const attributes = {
    mode: 0o644,
    size: 10n,
    mtime: 'server',
    atime: { seconds: 1, nanoseconds: 2 },
  } as const;
  const record = <A>(shape: Shape<A, object, object>, args: A): Buffer =>
    callRecord({ procedure: procedureNumber(shape.name) }, shape.args, args);
  return [
    record(getattrShape, { object: file }),
    record(setattrShape, { object: file, attributes, guard: { seconds: 1, nanoseconds: 2 } }),
    record(lookupShape, { what: { directory: root, name: 'file' } }),
    record(accessShape, { object: file, access: 0x3f }),
    record(readlinkShape, { symlink }),
    record(readShape, { file, offset: 100, count: 4096 }),
    record(writeShape, { file, offset: 10, count: 8, stable: 2, data: Buffer.from('12345678') }),
    record(createShape, { where, how: { mode: 'guarded', attributes } }),
    record(mkdirShape, { where, attributes }),
    record(symlinkShape, { where, attributes, target: 'target' }),
    record(mknodShape, { where, what: { type: 3, attributes, rdevMajor: 1, rdevMinor: 2 } }),
    record(removeShape, { object: where }),
    record(rmdirShape, { object: where }),
    record(renameShape, { from: where, to: { directory: root, name: 'other' } }),
    record(linkShape, { file, link: where }),
    record(readdirShape, { directory: root, cookie: 3, verifier, count: 4096 }),
    record(readdirplusShape, {
      directory: root,
      cookie: 0,
      verifier,
      directoryCount: 1024,
      maximumCount: 8192,
    }),
    record(fsstatShape, { root }),
    record(fsinfoShape, { root }),
    record(pathconfShape, { object: root }),
    record(commitShape, { file, offset: 0n, count: 0 }),
    callRecord({ program: MOUNT_PROGRAM, procedure: 1 }, directoryPath, '/export'),
  ];
}
