/** What the doctor asks of an entry of the mount table. */
import type { Mount } from '../source/mount-table.ts';

export const isNfs = ({ type }: Mount): boolean => type === 'nfs' || type === 'nfs4';
export const isCifs = ({ type }: Mount): boolean => type === 'cifs' || type === 'smb3';

/** Options of the filesystem, by name. Those without a value have an empty one. */
export function optionsOf({ options }: Mount): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const option of options.split(',')) {
    const [name = '', value = ''] = option.split(/=(.*)/s);
    if (name !== '') found.set(name, value);
  }
  return found;
}
