import { fail } from '../errors.ts';
import type { Node, Volume } from '../share/volume.ts';
import { decodeExtendedAttributes } from '../wire/fscc/ea.ts';
import { Status } from '../wire/status.ts';

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const FORBIDDEN = /[\x00-\x1f"*+,/:;<=>?[\\\]|]/;

/** Sets the attributes of a FILE_FULL_EA_INFORMATION list. An empty value removes an attribute. */
export async function applyExtendedAttributes(share: Volume, node: Node, data: Buffer): Promise<void> {
  const store = share.backend.changes?.extendedAttributes;
  if (!store) return fail(Status.EAS_NOT_SUPPORTED);
  const list = decodeExtendedAttributes(data);
  if (list.some(({ name }) => name === '' || FORBIDDEN.test(name))) return fail(Status.INVALID_EA_NAME);
  for (const { name, flags, value } of list) await store.set(node, name, flags, value);
}
