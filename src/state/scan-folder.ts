/** Directory scans that are not finished when a gateway ends, in one small file each, for the one that comes after it. */
import { lstatSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScanStore, SuspendedScan } from '@tsmb2/server';
import { z } from 'zod';
import type { Logger } from '../log/index.ts';

/** Older files are taken away at start-up, ms: their clients have given up. */
const keepMs = 3_600_000;
const prefix = 'scan-';

const text = z.string().max(4096);
const mask = z.number().int().nonnegative();
/** What an earlier process of another version may have written is not believed unless it fits. */
const suspendedScan: z.ZodType<SuspendedScan> = z.object({
  clientGuid: text,
  userName: text,
  share: text,
  path: z.array(text).max(4096),
  nodeId: z.string().regex(/^\d{1,20}$/),
  grantedAccess: mask,
  shareAccess: mask,
  options: mask,
  posix: z.boolean(),
  pattern: text,
  place: z.object({ dots: z.number().int().min(0).max(2), after: text.exactOptional() }),
});

/** Below `state`, else where the system keeps what need not outlive it; undefined where there is no such place. */
export function scanFolderPath(
  state: string | undefined,
  { XDG_RUNTIME_DIR: runtime }: NodeJS.ProcessEnv = process.env,
  uid = process.getuid?.(),
): string | undefined {
  if (state !== undefined) return join(state, 'scans');
  if (runtime?.startsWith('/')) return join(runtime, 'holdfast');
  return uid === 0 ? '/run/holdfast' : undefined;
}

export class ScanFolder implements ScanStore {
  readonly #folder: string;
  readonly #log: Logger;

  private constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /** For start-up: it blocks. Undefined, and a line in the log, when the folder cannot be used. */
  static open(folder: string, log: Logger): ScanFolder | undefined {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const found = lstatSync(folder);
      if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0)
        throw new Error('it is not a folder that this user alone may write to');
      sweep(folder);
      return new ScanFolder(folder, log);
    } catch (error) {
      log.warn(
        { folder, reason: (error as Error).message },
        'SMB listings under way will not outlive this process: set `state` to a folder that can be written to',
      );
      return undefined;
    }
  }

  /** Never rejects: what cannot be kept costs its client an error. */
  async save(key: string, scan: SuspendedScan): Promise<void> {
    try {
      await writeFile(this.#path(key), JSON.stringify(scan), { mode: 0o600 });
    } catch (error) {
      this.#log.warn({ reason: (error as Error).message }, 'an SMB listing under way could not be kept');
    }
  }

  async take(key: string): Promise<SuspendedScan | undefined> {
    const path = this.#path(key);
    const claimed = `${path}.${process.pid}`;
    try {
      // Whoever renames it has it: a place that is used twice would list entries twice.
      await rename(path, claimed);
      return suspendedScan.safeParse(JSON.parse(await readFile(claimed, 'utf8'))).data;
    } catch {
      return undefined;
    } finally {
      await rm(claimed, { force: true }).catch(() => undefined);
    }
  }

  #path(key: string): string {
    if (!/^[0-9a-f]{32}$/.test(key)) throw new RangeError(`no key of a scan: ${key}`);
    return join(this.#folder, `${prefix}${key}`);
  }
}

function sweep(folder: string): void {
  const before = Date.now() - keepMs;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!name.startsWith(prefix)) continue;
    // Another gateway may just have taken it.
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && found.mtimeMs < before) rmSync(path, { force: true });
  }
}
