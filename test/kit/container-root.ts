/** A root folder for a container in the guest: Node, busybox's programs and this project's program, and no shared library too many. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUSYBOX } from './uml-image.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
/** Programs that `holdfast mount` calls, and what scripts in the container need. */
const PROGRAMS = ['sh', 'mount', 'umount', 'nsenter', 'stat', 'wget'];

interface Locked {
  readonly packages: Readonly<
    Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean; link?: boolean }>
  >;
}

/** Folders of the npm packages that the program needs at run time. */
function runtimePackages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8')) as Locked;
  return Object.entries(packages)
    .filter(
      ([path, { dev, optional, devOptional, link }]) =>
        path !== '' && !dev && !optional && !devOptional && !link,
    )
    .map(([path]) => path)
    .filter((path) => path.startsWith('node_modules/'));
}

/** Copies a program and the libraries that it is linked with. */
function addProgram(file: string, root: string): void {
  const libraries = execFileSync('ldd', [file], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g);
  for (const path of [file, ...[...libraries].map(([, path]) => path!)]) {
    const target = join(root, path === file ? '/usr/bin/node' : path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  }
}

/** Fills `root`; `node /app/dist/main.js` runs in it. Needs what `npm run build` makes. */
export function makeContainerRoot(root: string): void {
  for (const folder of ['bin', 'usr/bin', 'proc', 'sys', 'dev', 'tmp', 'run', 'mnt', 'etc', 'app'])
    mkdirSync(join(root, folder), { recursive: true });
  addProgram(process.execPath, root);
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  for (const name of PROGRAMS) symlinkSync('busybox', join(root, 'bin', name));
  const parts = ['package.json', 'dist', 'protocols/nfs-rpc', 'protocols/smb2'];
  for (const part of [...parts, ...runtimePackages()]) {
    const filter = (path: string) => !/\/protocols\/[^/]+\/(?:src|node_modules)\b/.test(path);
    cpSync(join(project, part), join(root, 'app', part), { recursive: true, filter });
  }
  for (const [scope, name, target] of [
    ['@holdfast', 'nfs-rpc', 'nfs-rpc'],
    ['@tsmb2', 'server', 'smb2'],
  ] as const) {
    mkdirSync(join(root, 'app/node_modules', scope), { recursive: true });
    symlinkSync(`../../protocols/${target}`, join(root, 'app/node_modules', scope, name));
  }
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
}
