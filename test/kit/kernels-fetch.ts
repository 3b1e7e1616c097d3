/** Fetches the kernel of another Debian suite and unpacks it into a cache folder. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchRoot, unpackedRoot } from './debian-packages.ts';
import { systemMirrors } from './kernels-sources.ts';
import { cacheFolder, type Kernel } from './uml-image.ts';

/** The kernel, and the libraries that it is linked with. */
const packages = ['user-mode-linux', 'libc6', 'libgcc-s1'] as const;
/** The number changes with the layout of the folder. */
const keptFolder = join(cacheFolder, 'fetched-1');

function kernelIn(suite: string, root: string): Kernel {
  const modules = join(root, 'usr/lib/uml/modules');
  const release = readdirSync(modules).at(-1);
  if (release === undefined) throw new Error(`${modules} is empty`);
  return { name: suite, release, modules, root };
}

/** The suite's kernel, if an earlier run has fetched it. */
export function fetchedKernel(suite: string, kept = keptFolder): Kernel | undefined {
  const root = unpackedRoot(suite, kept);
  return root === undefined ? undefined : kernelIn(suite, root);
}

/** Fetches the suite's kernel from the first of the system's mirrors that has it. Fails with the errors of all mirrors. */
export async function fetchKernel(
  suite: string,
  mirrors = systemMirrors(),
  kept = keptFolder,
): Promise<Kernel> {
  return kernelIn(suite, await fetchRoot({ suite, packages, kept }, mirrors));
}
