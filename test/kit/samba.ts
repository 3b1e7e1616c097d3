/** Samba's test suite and server from a newer Debian suite, unpacked into a separate root. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchRoot, unpackedRoot } from './debian-packages.ts';
import { systemMirrors } from './kernels-sources.ts';

const kept = fileURLToPath(new URL('../../node_modules/.cache/holdfast-samba/fetched-1', import.meta.url));

/** The root with that suite's smbtorture and smbd. Fetches it if necessary. */
export async function sambaRoot(suite: string): Promise<string> {
  const packages = ['samba-testsuite', 'samba'] as const;
  const root =
    unpackedRoot(suite, kept) ??
    (await fetchRoot({ suite, packages, withDependencies: true, kept }, systemMirrors()));
  // smbd looks its users up in passwd and group.
  const users = ['root', 'nobody', 'user', 'second'].map((name, index) => {
    const id = name === 'root' ? 0 : name === 'nobody' ? 65_534 : 1000 + index;
    return { passwd: `${name}:x:${id}:${id}::/:/bin/false\n`, group: `${name}:x:${id}:\n` };
  });
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), users.map(({ passwd }) => passwd).join(''));
  writeFileSync(join(root, 'etc/group'), users.map(({ group }) => group).join(''));
  return root;
}
