/** A file with the id of the process that serves now, for service managers and scripts. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';

/**
 * Replaces whatever file is there. Throws with the errno when it cannot be written. In a folder that others may write
 * to (such as /tmp) this follows no link and writes to no existing file: the file is always new.
 */
export function writePidFile(file: string): void {
  const staged = `${file}.${randomBytes(8).toString('hex')}`;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const descriptor = openSync(staged, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
  try {
    writeSync(descriptor, `${process.pid}\n`);
    // A rename replaces a symbolic link itself, not its target.
    renameSync(staged, file);
  } catch (error) {
    rmSync(staged, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Removes the file unless it holds the id of a successor. Never throws: the process ends either way. */
export function removePidFile(file: string): void {
  try {
    if (readFileSync(file, 'utf8').trim() === String(process.pid)) rmSync(file);
  } catch {
    // The file is already gone.
  }
}
