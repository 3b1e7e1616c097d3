/**
 * Names between the tree (bytes) and SMB (UTF-16). Characters that SMB reserves travel in the private use area, where
 * Services for Macintosh put them: the Linux client (`mapposix`, its default), macOS and Samba's fruit map them back.
 */
import { fromText, toText, type ByteString } from '../tree/names.ts';

/** U+F020…: `"*:<>?\|`, in the order Services for Macintosh gave them. */
const reserved = '"*:<>?\\|';
const base = 0xf020;
const trailingSpace = '\uf028';
const trailingDot = '\uf029';

const toPrivate = (character: string): string => {
  const code = character.charCodeAt(0);
  return String.fromCharCode(code < 0x20 ? 0xf000 + code : base + reserved.indexOf(character));
};

const fromPrivate = (character: string): string => {
  const code = character.charCodeAt(0);
  if (code < base) return String.fromCharCode(code - 0xf000);
  if (character === trailingSpace) return ' ';
  if (character === trailingDot) return '.';
  return reserved[code - base]!;
};

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const unsafe = /[\u0001-\u001f"*:<>?\\|]/g;
const mapped = /[\uf001-\uf01f\uf020-\uf029]/g;

/** The name as SMB clients see it. */
export function toWireName(name: ByteString): string {
  const text = toText(name).replace(unsafe, toPrivate);
  if (text.endsWith('.')) return text.slice(0, -1) + trailingDot;
  if (text.endsWith(' ')) return text.slice(0, -1) + trailingSpace;
  return text;
}

/** The name on disk for one that a client sent; undefined when no such name can exist. */
export function fromWireName(name: string): ByteString | undefined {
  const text = name.replace(mapped, fromPrivate);
  // A lone surrogate has no UTF-8 form.
  return /\p{Surrogate}/u.test(text) ? undefined : fromText(text);
}
