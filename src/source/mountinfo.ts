/** /proc/self/mountinfo, proc(5). Paths are byte strings: one character for each byte. */

export interface Mount {
  readonly id: number;
  /** major:minor packed as st_dev of a 64-bit Linux. */
  readonly device: number;
  readonly mountpoint: string;
  readonly type: string;
}

/** makedev(3) of glibc, for minors below 2^20 (all anonymous devices are). */
function makeDevice(major: number, minor: number): number {
  return ((major & 0xfff) << 8) + (minor & 0xff) + (minor & ~0xff) * 0x1000;
}

const unescape = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));

/**
 * The mount that a path lies in: the longest mountpoint that is a prefix, and of those on one place the last, which
 * is on top. Undefined when the text holds none, which a healthy system never shows.
 */
export function coveringMount(mountinfo: string, path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    if (separator < 0) continue;
    const mountpoint = unescape(fields[4]!);
    const covers = mountpoint === '/' || path === mountpoint || path.startsWith(mountpoint + '/');
    if (!covers || (best && best.mountpoint.length > mountpoint.length)) continue;
    const [major, minor] = fields[2]!.split(':');
    best = {
      id: Number(fields[0]),
      device: makeDevice(Number(major), Number(minor)),
      mountpoint,
      type: fields[separator + 1] ?? '',
    };
  }
  return best;
}

export function isFuse(type: string): boolean {
  return type === 'fuse' || type === 'fuseblk' || type.startsWith('fuse.');
}
