/**
 * Converts names between the tree (bytes) and SMB (UTF-16), one to one. The protocol package handles names that SMB
 * reserves.
 *
 * A byte that is not part of valid UTF-8 becomes a character of the private use area: U+F700 plus the byte. When a name
 * already contains such a character, each of its bytes is written the same way.
 */
import { fromText, toText, type ByteString } from '../tree/names.ts';

const PLAIN = /^[\0-\x7f]*$/;
const STRAY_BYTES = 0xf700;
const STRAY = /[\uf780-\uf7ff]/;
const EVERY_STRAY = /[\uf780-\uf7ff]+/g;
const SUSPICIOUS = /[\ufffd\uf780-\uf7ff]/;

/** The name as SMB clients see it. */
export function textOf(name: ByteString): string {
  if (PLAIN.test(name)) return name;
  const text = toText(name);
  return SUSPICIOUS.test(text) ? withStrayBytes(Buffer.from(name, 'latin1')) : text;
}

const texts = new WeakMap<object, string>();

/** As {@link textOf}, but decodes once for each object. */
export function nameOf(node: { readonly name: ByteString }): string {
  if (PLAIN.test(node.name)) return node.name;
  let text = texts.get(node);
  if (text === undefined) texts.set(node, (text = textOf(node.name)));
  return text;
}

/** Length in bytes of the UTF-8 character that begins with `lead`. */
const lengthOf = (lead: number): number => (lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);

function withStrayBytes(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const slice = bytes.subarray(at, at + lengthOf(bytes[at]!));
    const character = slice.toString('utf8');
    const isCharacter = !STRAY.test(character) && Buffer.from(character).equals(slice);
    text += isCharacter ? character : String.fromCharCode(STRAY_BYTES + bytes[at]!);
    at += isCharacter ? slice.length : 1;
  }
  return text;
}

/** The name on disk for a name from a client; undefined when no file can have that name. */
export function bytesOf(name: string): ByteString | undefined {
  if (PLAIN.test(name)) return name;
  // A lone surrogate has no UTF-8 form.
  if (/\p{Surrogate}/u.test(name)) return undefined;
  if (!STRAY.test(name)) return fromText(name);
  let bytes = '';
  let at = 0;
  for (const { 0: stray, index } of name.matchAll(EVERY_STRAY)) {
    bytes += fromText(name.slice(at, index));
    for (const character of stray) bytes += String.fromCharCode(character.charCodeAt(0) - STRAY_BYTES);
    at = index + stray.length;
  }
  return bytes + fromText(name.slice(at));
}
