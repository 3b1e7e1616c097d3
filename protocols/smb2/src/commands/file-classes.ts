/** QUERY_INFO of files, one row for each information class ([MS-FSCC] 2.4). */
import type { Awaitable, NodeAttributes } from '../backend.ts';
import { fail } from '../errors.ts';
import { allocationSize, endOfFile, fileAttributes, presentedId } from '../share/attributes.ts';
import { toPosixWireName, toWireName } from '../names/characters.ts';
import type { Open } from '../open/open.ts';
import type { Request } from '../request/request.ts';
import { Access, Dialect } from '../wire/constants.ts';
import { IO_REPARSE_TAG_SYMLINK } from '../wire/error-response.ts';
import { encodeExtendedAttributes, extendedAttributeSize } from '../wire/fscc/ea.ts';
import * as info from '../wire/fscc/file-info.ts';
import { Status } from '../wire/status.ts';
import { align } from '../wire/struct.ts';
import { posixReply } from './create-contexts/response.ts';

const { FileClass } = info;

export interface FileClassRow {
  /** Smallest buffer that the client may offer, in bytes. */
  readonly fixed: number;
  /** Rights that the open needs. */
  readonly access: number;
  readonly encode: (open: Open, attributes: NodeAttributes, request: Request) => Awaitable<Buffer>;
}

const wireName = (open: Open, name: string): string =>
  open.posix ? toPosixWireName(name) : toWireName(name);

/** With a leading backslash. The root is a single backslash. */
function wirePath(open: Open): string {
  const { share, node } = open;
  const names = share.namesOf(node).map((name) => wireName(open, name));
  // The colon before a stream's name is a separator, so it is not mapped.
  const stream = share.backend.changes?.streams?.owner(node);
  return `\\${names.join('\\')}${stream ? `:${stream.name}` : ''}`;
}

const stamps = (attributes: NodeAttributes) => ({
  creationTime: attributes.creationTime,
  lastAccessTime: attributes.lastAccessTime,
  lastWriteTime: attributes.lastWriteTime,
  changeTime: attributes.changeTime,
});

const sizes = (attributes: NodeAttributes) => ({
  allocationSize: allocationSize(attributes),
  endOfFile: endOfFile(attributes),
});

const basic = (_open: Open, attributes: NodeAttributes): Buffer =>
  info.basicInfo.toBuffer({ ...stamps(attributes), fileAttributes: fileAttributes(attributes) });

const standard = ({ file, isDirectory }: Open, attributes: NodeAttributes): Buffer =>
  info.standardInfo.toBuffer({
    ...sizes(attributes),
    // A file with a pending delete does not count the link that will go ([MS-FSA] 2.1.5.12.27).
    links: Math.max(1, attributes.links) - (file.deletePending ? 1 : 0),
    deletePending: file.deletePending,
    directory: isDirectory,
  });

const internal = (open: Open, attributes: NodeAttributes): Buffer =>
  info.internalInfo.toBuffer({ indexNumber: presentedId(attributes, open.alias) });

const extendedAttributes = async ({ share, node }: Open) =>
  (await share.backend.changes?.extendedAttributes?.list(node)) ?? [];

const ea = async (open: Open): Promise<Buffer> =>
  info.eaInfo.toBuffer({ eaSize: extendedAttributeSize(await extendedAttributes(open)) });

const access = (open: Open): Buffer => info.accessInfo.toBuffer({ accessFlags: open.grantedAccess });
const position = (open: Open): Buffer => info.positionInfo.toBuffer({ currentOffset: open.position });
const mode = (open: Open): Buffer => info.modeInfo.toBuffer({ mode: open.mode });
const alignment = (): Buffer => info.alignmentInfo.toBuffer({ requirement: 0 });

function named(name: string): Buffer {
  const text = Buffer.from(name, 'utf16le');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text]);
}

const all = async (open: Open, attributes: NodeAttributes): Promise<Buffer> =>
  Buffer.concat([
    basic(open, attributes),
    standard(open, attributes),
    internal(open, attributes),
    await ea(open),
    access(open),
    position(open),
    mode(open),
    alignment(),
    named(wirePath(open)),
  ]);

async function streams(open: Open, attributes: NodeAttributes): Promise<Buffer> {
  const store = open.share.backend.changes?.streams;
  const base = store?.owner(open.node)?.node ?? open.node;
  const named = (await store?.list(base)) ?? [];
  const unnamed = open.isDirectory
    ? []
    : [{ name: '', size: attributes.size, allocationSize: attributes.allocationSize }];
  const list = [...unnamed, ...named];
  return Buffer.concat(
    list.map((stream, index) => {
      const name = Buffer.from(`:${stream.name}:$DATA`, 'utf16le');
      const size = info.streamEntry.size + name.length;
      const isLast = index === list.length - 1;
      const part = Buffer.alloc(isLast ? size : align(size, 8));
      info.streamEntry.encode(
        {
          next: isLast ? 0 : part.length,
          nameLength: name.length,
          size: stream.size,
          allocationSize: stream.allocationSize,
        },
        part,
      );
      name.copy(part, info.streamEntry.size);
      return part;
    }),
  );
}

async function fullEa(open: Open): Promise<Buffer> {
  const list = await extendedAttributes(open);
  return list.length === 0 ? fail(Status.NO_EAS_ON_FILE) : encodeExtendedAttributes(list);
}

const networkOpen = (_open: Open, attributes: NodeAttributes): Buffer =>
  info.networkOpenInfo.toBuffer({
    ...stamps(attributes),
    ...sizes(attributes),
    fileAttributes: fileAttributes(attributes),
  });

const attributeTag = (_open: Open, attributes: NodeAttributes): Buffer =>
  info.attributeTagInfo.toBuffer({
    fileAttributes: fileAttributes(attributes),
    reparseTag: attributes.kind === 'symlink' ? IO_REPARSE_TAG_SYMLINK : 0,
  });

const compression = (_open: Open, attributes: NodeAttributes): Buffer =>
  info.compressionInfo.toBuffer({ compressedFileSize: endOfFile(attributes), compressionFormat: 0 });

function normalizedName(open: Open, _attributes: NodeAttributes, request: Request): Buffer {
  // Defined for dialect 3.1.1 only ([MS-SMB2] 3.3.5.20.1).
  if (request.dialect !== Dialect.SMB_3_1_1) return fail(Status.NOT_SUPPORTED);
  return named(wirePath(open).replace(/^\\/, ''));
}

const identity = (open: Open, attributes: NodeAttributes): Buffer =>
  info.idInfo.toBuffer({
    volumeSerial: BigInt(open.share.backend.volume.serial),
    fileId: presentedId(attributes, open.alias),
  });

function posix(open: Open, attributes: NodeAttributes, request: Request): Buffer {
  if (!request.connection.negotiated.posix) return fail(Status.INVALID_INFO_CLASS);
  return Buffer.concat([
    info.posixInfo.toBuffer({
      ...stamps(attributes),
      ...sizes(attributes),
      fileAttributes: fileAttributes(attributes),
      inode: presentedId(attributes, open.alias),
      deviceId: open.share.backend.volume.serial,
    }),
    posixReply(attributes),
  ]);
}

/**
 * The server makes no 8.3 names, since clients would use them to open files. It returns the long name, because some
 * clients fail on a file without an alternate name.
 */
const alternateName = (open: Open): Buffer =>
  named(wireName(open, open.share.namesOf(open.node).at(-1) ?? ''));

const { READ_ATTRIBUTES, READ_EA } = Access;

/** By FileInformationClass. */
export const fileClasses: ReadonlyMap<number, FileClassRow> = new Map<number, FileClassRow>([
  [FileClass.BASIC, { fixed: 40, access: READ_ATTRIBUTES, encode: basic }],
  [FileClass.STANDARD, { fixed: 24, access: 0, encode: standard }],
  [FileClass.INTERNAL, { fixed: 8, access: 0, encode: internal }],
  [FileClass.EA, { fixed: 4, access: 0, encode: ea }],
  [FileClass.ACCESS, { fixed: 4, access: 0, encode: access }],
  [FileClass.NAME, { fixed: 4, access: 0, encode: (open) => named(wirePath(open)) }],
  [FileClass.POSITION, { fixed: 8, access: 0, encode: position }],
  [FileClass.FULL_EA, { fixed: 8, access: READ_EA, encode: fullEa }],
  [FileClass.MODE, { fixed: 4, access: 0, encode: mode }],
  [FileClass.ALIGNMENT, { fixed: 4, access: 0, encode: alignment }],
  [FileClass.ALL, { fixed: 104, access: READ_ATTRIBUTES, encode: all }],
  [FileClass.ALTERNATE_NAME, { fixed: 8, access: 0, encode: alternateName }],
  [FileClass.STREAM, { fixed: 32, access: 0, encode: streams }],
  [FileClass.COMPRESSION, { fixed: 16, access: 0, encode: compression }],
  [FileClass.NETWORK_OPEN, { fixed: 56, access: READ_ATTRIBUTES, encode: networkOpen }],
  [FileClass.ATTRIBUTE_TAG, { fixed: 8, access: READ_ATTRIBUTES, encode: attributeTag }],
  [FileClass.NORMALIZED_NAME, { fixed: 4, access: 0, encode: normalizedName }],
  [FileClass.ID, { fixed: 24, access: 0, encode: identity }],
  [FileClass.POSIX, { fixed: 80, access: READ_ATTRIBUTES, encode: posix }],
]);
