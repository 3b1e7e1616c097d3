/**
 * Names and paths are byte strings: one character (U+0000..U+00FF) for each byte of the name on disk, so that a name that
 * is not UTF-8 is served like any other. A path is '' for the root of an export and '/a/b' below it.
 */
export type ByteString = string;

/** NAME_MAX of every Linux filesystem, bytes. */
export const nameMax = 255;
/** PATH_MAX with its NUL, bytes; a deeper path cannot be handed to the kernel in one piece. */
export const pathMax = 4096;

export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** For people and for SMB: bytes that are not UTF-8 become U+FFFD. */
export function toText(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

export type NameFault = 'empty' | 'dots' | 'separator' | 'too-long';

/** Why a name may not reach the filesystem; undefined when it may. */
export function nameFault(name: ByteString): NameFault | undefined {
  if (name.length === 0) return 'empty';
  if (name === '.' || name === '..') return 'dots';
  if (name.length > nameMax) return 'too-long';
  if (name.includes('/') || name.includes('\0')) return 'separator';
  return undefined;
}

/** The parts of a slash-separated path, without empty ones and '.'. */
export function pathParts(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
