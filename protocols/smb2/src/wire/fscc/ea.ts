/** FILE_FULL_EA_INFORMATION ([MS-FSCC] 2.4.15). */
import { MalformedError } from '../malformed.ts';
import { align, structure, u8, u16, u32 } from '../struct.ts';

const entry = structure('FILE_FULL_EA_INFORMATION', '[MS-FSCC] 2.4.15', {
  next: u32,
  flags: u8,
  nameLength: u8,
  valueLength: u16,
});

export interface ExtendedAttribute {
  readonly name: string;
  readonly flags: number;
  readonly value: Buffer;
}

/** @throws MalformedError when an entry exceeds the buffer. */
export function decodeExtendedAttributes(data: Buffer): ExtendedAttribute[] {
  const result: ExtendedAttribute[] = [];
  let at = 0;
  while (data.length > 0) {
    const { next, flags, nameLength, valueLength } = entry.decode(data, at);
    const name = at + entry.size;
    const value = name + nameLength + 1;
    if (value + valueLength > data.length) throw new MalformedError('extended attribute outside the buffer');
    result.push({
      name: data.toString('latin1', name, name + nameLength),
      flags,
      value: Buffer.from(data.subarray(value, value + valueLength)),
    });
    if (next === 0) break;
    if (next < entry.size) throw new MalformedError('extended attribute chain');
    at += next;
  }
  return result;
}

export function encodeExtendedAttributes(list: readonly ExtendedAttribute[]): Buffer {
  return Buffer.concat(
    list.map(({ name, flags, value }, index) => {
      const size = entry.size + name.length + 1 + value.length;
      const isLast = index === list.length - 1;
      const part = Buffer.alloc(isLast ? size : align(size, 4));
      entry.encode(
        { next: isLast ? 0 : part.length, flags, nameLength: name.length, valueLength: value.length },
        part,
      );
      part.write(name, entry.size, 'latin1');
      value.copy(part, entry.size + name.length + 1);
      return part;
    }),
  );
}

/** EaSize of FileEaInformation: the size of the list in OS/2 form, 0 without attributes ([MS-FSCC] 2.4.13). */
export const extendedAttributeSize = (list: readonly ExtendedAttribute[]): number =>
  list.length === 0 ? 0 : list.reduce((sum, { name, value }) => sum + 4 + name.length + 1 + value.length, 4);
