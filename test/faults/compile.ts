/** Compiles the C programs of the suite, once for each version of their source. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const cacheFolder = fileURLToPath(new URL('../../node_modules/.cache/holdfast-faults/', import.meta.url));

/** Compiles `source` with gcc and these flags, unless cached. Returns the program's path. */
export function compiled(source: string, flags: readonly string[]): string {
  const recipe = createHash('sha256').update(flags.join('\0')).update(readFileSync(source)).digest('hex');
  const target = `${cacheFolder}${basename(source, '.c')}-${recipe.slice(0, 12)}`;
  if (existsSync(target)) return target;
  mkdirSync(cacheFolder, { recursive: true });
  const staged = `${target}.${String(process.pid)}`;
  execFileSync('gcc', ['-O2', '-Wall', ...flags, '-o', staged, source]);
  renameSync(staged, target);
  return target;
}
