/**
 * Names and paths are byte strings: one character (U+0000..U+00FF) for each byte of the name on disk, so that names that are
 * not UTF-8 work too. The path is '' for the root of an export and '/a/b' below it.
 */
export type ByteString = string;

/** NAME_MAX of every Linux filesystem, bytes. */
export const nameMax = 255;
/** PATH_MAX in bytes, including the NUL. The kernel does not accept longer paths. */
export const pathMax = 4096;

export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Decodes a name for display and for SMB. Bytes that are not UTF-8 become U+FFFD. */
export function toText(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

export type NameFault = 'empty' | 'dots' | 'separator' | 'too-long';

/** Why a name must not be passed to the file system; undefined if it may. */
export function nameFault(name: ByteString): NameFault | undefined {
  if (name.length === 0) return 'empty';
  if (name === '.' || name === '..') return 'dots';
  if (name.length > nameMax) return 'too-long';
  if (name.includes('/') || name.includes('\0')) return 'separator';
  return undefined;
}

/** The components of a path, without empty ones and '.'. */
export function pathParts(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
