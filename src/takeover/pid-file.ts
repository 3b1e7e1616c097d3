/** A file that holds the id of the process that serves now, for service managers and scripts. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Takes the place of whatever id stood there. Throws with the errno when it cannot be written. */
export function writePidFile(file: string): void {
  const staged = `${file}.${process.pid}`;
  writeFileSync(staged, `${process.pid}\n`);
  renameSync(staged, file);
}

/** Removes the file unless it is a successor's by now. Never throws: the process ends either way. */
export function removePidFile(file: string): void {
  try {
    if (readFileSync(file, 'utf8').trim() === String(process.pid)) rmSync(file);
  } catch {
    // Gone already.
  }
}
