/**
 * Stand-ins for the images that the Dockerfile builds on, where no registry of images can be reached: trees laid out as Alpine's
 * are, of what this machine has. They are linked with another libc than the real ones; the Dockerfile does not know.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { BUSYBOX } from './uml-image.ts';

/** What Alpine keeps in /usr/lib, and a Node image brings there. */
const CXX = ['libstdc++.so.6', 'libgcc_s.so.1'];

const librariesOf = (file: string) =>
  [...execFileSync('ldd', [file], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);

function copyTo(root: string, source: string, target = source): void {
  mkdirSync(join(root, dirname(target)), { recursive: true });
  copyFileSync(source, join(root, target));
}

/** `alpine`: busybox with all its names, and the C library that Node is linked with here. */
export function alpineTree(root: string): void {
  for (const folder of [
    'bin',
    'usr/bin',
    'usr/lib',
    'usr/local/bin',
    'etc',
    'proc',
    'sys',
    'dev',
    'run',
    'mnt',
    'root',
    'var',
  ])
    mkdirSync(join(root, folder), { recursive: true });
  mkdirSync(join(root, 'tmp'), { mode: 0o1777 });
  copyTo(root, BUSYBOX, '/bin/busybox');
  for (const name of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
    if (name !== 'busybox') symlinkSync('/bin/busybox', join(root, 'bin', name));
  for (const library of librariesOf(process.execPath))
    if (!CXX.includes(basename(library))) copyTo(root, library);
  writeFileSync(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
  );
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
}

/** `node:…-alpine`: Node and npm, and the ways of this machine to npm's registry. */
export function nodeTree(root: string): void {
  alpineTree(root);
  copyTo(root, process.execPath, '/usr/local/bin/node');
  for (const library of librariesOf(process.execPath).filter((path) => CXX.includes(basename(path)))) {
    // As there: the name with the short version is a link.
    copyTo(root, library, `/usr/lib/${basename(library)}.0`);
    symlinkSync(`${basename(library)}.0`, join(root, 'usr/lib', basename(library)));
  }
  const npm = join(execFileSync('npm', ['root', '--global'], { encoding: 'utf8' }).trim(), 'npm');
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, 'usr/local/bin', name));
  // npm's scripts are started by it.
  symlinkSync('/bin/env', join(root, 'usr/bin/env'));
  for (const file of ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf'])
    if (existsSync(file)) copyTo(root, file);
  const settings = join(homedir(), '.npmrc');
  if (existsSync(settings)) copyTo(root, settings, '/root/.npmrc');
  cpSync('/etc/ssl', join(root, 'etc/ssl'), { recursive: true, dereference: true });
}

/** Decypharr's image: what its container starts, by the same names. This one waits for a signal and says so. */
export function decypharrTree(root: string): void {
  alpineTree(root);
  mkdirSync(join(root, 'app'));
  const scripts = {
    'entrypoint.sh': '#!/bin/sh\nexec "$@"\n',
    'usr/bin/decypharr':
      '#!/bin/sh\necho "decypharr $*"\ntrap "echo decypharr ends; exit 0" TERM\nwhile :; do sleep 1 & wait $!; done\n',
  };
  for (const [path, text] of Object.entries(scripts)) {
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), 0o755);
  }
}
