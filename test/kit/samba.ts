/** Samba's test suite and server of a newer Debian suite, unpacked beside the system and run in a root of their own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchRoot, unpackedRoot } from './debian-packages.ts';
import { systemMirrors } from './kernels-sources.ts';

const kept = fileURLToPath(new URL('../../node_modules/.cache/holdfast-samba/fetched-1', import.meta.url));

/** The root of that suite's smbtorture and smbd, fetched when it is not here yet. */
export async function sambaRoot(suite: string): Promise<string> {
  const packages = ['samba-testsuite', 'samba'] as const;
  const root =
    unpackedRoot(suite, kept) ??
    (await fetchRoot({ suite, packages, withDependencies: true, kept }, systemMirrors()));
  // smbd asks who its users are.
  const users = ['root', 'nobody', 'user', 'second'].map((name, index) => {
    const id = name === 'root' ? 0 : name === 'nobody' ? 65_534 : 1000 + index;
    return { passwd: `${name}:x:${id}:${id}::/:/bin/false\n`, group: `${name}:x:${id}:\n` };
  });
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), users.map(({ passwd }) => passwd).join(''));
  writeFileSync(join(root, 'etc/group'), users.map(({ group }) => group).join(''));
  return root;
}
