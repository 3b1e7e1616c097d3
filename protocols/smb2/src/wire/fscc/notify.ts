/** FILE_NOTIFY_INFORMATION ([MS-FSCC] 2.7.1). */
import { align, structure, u32 } from '../struct.ts';

export type NotifyAction = 'added' | 'removed' | 'modified' | 'renamed-old' | 'renamed-new';

export interface NotifyEntry {
  readonly action: NotifyAction;
  readonly name: string;
}

const actions: Readonly<Record<NotifyAction, number>> = {
  added: 1,
  removed: 2,
  modified: 3,
  'renamed-old': 4,
  'renamed-new': 5,
};

const header = structure('FILE_NOTIFY_INFORMATION', '[MS-FSCC] 2.7.1', {
  next: u32,
  action: u32,
  nameLength: u32,
});

/** Returns undefined when the entries need more than `most` bytes. */
export function encodeNotify(entries: readonly NotifyEntry[], most: number): Buffer | undefined {
  const distinct = entries.filter(
    (entry, index) => entries[index - 1]?.name !== entry.name || entries[index - 1]?.action !== entry.action,
  );
  const sizes = distinct.map(({ name }, index) => {
    const size = header.size + 2 * name.length;
    return index === distinct.length - 1 ? size : align(size, 4);
  });
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > most) return undefined;
  const data = Buffer.alloc(total);
  let at = 0;
  distinct.forEach(({ action, name }, index) => {
    const isLast = index === distinct.length - 1;
    header.encode(
      { next: isLast ? 0 : sizes[index]!, action: actions[action], nameLength: 2 * name.length },
      data,
      at,
    );
    data.write(name, at + header.size, 'utf16le');
    at += sizes[index]!;
  });
  return data;
}
