/** Parses /proc/self/mountinfo, proc(5), and finds the mount of a path. Paths are byte strings. */

export interface Mount {
  readonly id: number;
  /** Id of the mount that this one is mounted on. */
  readonly parent: number;
  /** major:minor encoded as st_dev on 64-bit Linux. */
  readonly device: number;
  /** The same as `MAJOR:MINOR`, as /sys/class/bdi names it. */
  readonly bdi: string;
  readonly mountpoint: string;
  /** Whether mounts made on it reach its peers and slaves: those in other mount namespaces (shared subtrees). */
  readonly shared: boolean;
  /** Whether mounts made elsewhere reach it: on the master of which it is a slave. */
  readonly slave: boolean;
  readonly type: string;
  /** The mount's source: a device, `10.0.0.1:/dfs`, `//10.0.0.1/dfs`, or any word. */
  readonly origin: string;
  /** Super-block options, such as `rw,user_id=0,group_id=0,allow_other,max_read=131072`. */
  readonly options: string;
}

/** As makedev(3) of glibc, for minors below 2^20 (true for all anonymous devices). */
function makeDevice(major: number, minor: number): number {
  return ((major & 0xfff) << 8) + (minor & 0xff) + (minor & ~0xff) * 0x1000;
}

const unescape = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));

function parseLine(line: string): Mount | undefined {
  const fields = line.split(' ');
  const separator = fields.indexOf('-', 6);
  if (separator < 0) return undefined;
  const bdi = fields[2]!;
  const [major, minor] = bdi.split(':');
  const propagation = fields.slice(6, separator);
  return {
    id: Number(fields[0]),
    parent: Number(fields[1]),
    device: makeDevice(Number(major), Number(minor)),
    bdi,
    mountpoint: unescape(fields[4]!),
    shared: propagation.some((field) => field.startsWith('shared:')),
    slave: propagation.some((field) => field.startsWith('master:')),
    type: fields[separator + 1] ?? '',
    origin: unescape(fields[separator + 2] ?? ''),
    options: fields[separator + 3] ?? '',
  };
}

export class MountTable {
  readonly #all: readonly Mount[];
  readonly #ids: ReadonlySet<number>;

  constructor(mountinfo: string) {
    this.#all = mountinfo
      .split('\n')
      .map(parseLine)
      .filter((mount) => mount !== undefined);
    this.#ids = new Set(this.#all.map(({ id }) => id));
  }

  /**
   * The mount that a path without symlinks leads to. As in the kernel, the walk starts at the root and enters the topmost mount
   * at each component. So a mount that covers another, or a parent of it, is taken into account.
   */
  at(path: string): Mount | undefined {
    let current = this.#top(undefined, '/');
    for (let end = path.indexOf('/', 1); ; end = path.indexOf('/', end + 1)) {
      const prefix = end < 0 ? path : path.slice(0, end);
      if (prefix !== '/') current = this.#top(current, prefix);
      if (end < 0) return current;
    }
  }

  /** Whether a file system is mounted anywhere, even if another mount covers it. */
  has(device: number): boolean {
    return this.#all.some((mount) => mount.device === device);
  }

  /** Visible mounts with a mountpoint below `path`, outer ones first. */
  below(path: string): Mount[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    return this.#all
      .filter(({ mountpoint }) => mountpoint.length > prefix.length && mountpoint.startsWith(prefix))
      .filter((mount) => this.at(mount.mountpoint) === mount)
      .sort((a, b) => a.mountpoint.length - b.mountpoint.length);
  }

  /** The topmost mount at `mountpoint` on top of `current`; `current` if there is none. */
  #top(current: Mount | undefined, mountpoint: string): Mount | undefined {
    for (;;) {
      const next = this.#all.findLast(
        (mount) => mount.mountpoint === mountpoint && mount !== current && this.#isOn(mount, current),
      );
      if (!next) return current;
      current = next;
    }
  }

  /** In a chroot the root's mount may not be listed. Then `current` is undefined, and its child mounts have no listed parent. */
  #isOn(mount: Mount, current: Mount | undefined): boolean {
    return current ? mount.parent === current.id : !this.#ids.has(mount.parent) || mount.parent === mount.id;
  }
}

/** Local filesystems: inotify(7) reports every change in them, as all changes are made on this machine. */
const local: ReadonlySet<string> = new Set([
  'bcachefs',
  'btrfs',
  'ext2',
  'ext3',
  'ext4',
  'f2fs',
  'overlay',
  'tmpfs',
  'xfs',
  'zfs',
]);

export const tellsChanges = (type: string): boolean => local.has(type);

export function isFuse(type: string): boolean {
  return type === 'fuse' || type === 'fuseblk' || type.startsWith('fuse.');
}

/** The largest read in bytes that the daemon accepts; undefined if the mount options do not tell. */
export function maxRead(mount: Mount): number | undefined {
  const value = /(?:^|,)max_read=(\d+)/.exec(mount.options)?.[1];
  return value === undefined ? undefined : Number(value);
}

export const allowsOthers = (mount: Mount): boolean => /(?:^|,)allow_other(?:,|$)/.test(mount.options);

/**
 * Whether the daemon fetches ahead by itself while a file is open, and begins another download for a read far from its current
 * position. Decypharr does (more than 4 MiB away). It is recognised by the mount's type.
 */
export const fetchesAhead = ({ type }: Mount): boolean => type === 'fuse.decypharr';
