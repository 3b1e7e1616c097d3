/** Names between the tree (bytes) and SMB (UTF-16). What SMB reserves is the protocol package's concern. */
import { fromText, toText, type ByteString } from '../tree/names.ts';

/** The name as text; bytes that are not UTF-8 show as U+FFFD. */
export const textOf = toText;

/** The name on disk for one that a client sent; undefined when no such name can exist. */
export function bytesOf(name: string): ByteString | undefined {
  // A lone surrogate has no UTF-8 form.
  return /\p{Surrogate}/u.test(name) ? undefined : fromText(name);
}
