/** Parses /proc/PID/mountinfo for the doctor, proc_pid_mountinfo(5). */

export interface MountLine {
  /** st_dev of its files, as `MAJOR:MINOR`. */
  readonly device: string;
  readonly mountpoint: string;
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Options of the mount and of the filesystem. */
  readonly options: ReadonlyMap<string, string>;
}

const plain = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));

function optionsOf(...texts: string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (const option of texts.join(',').split(',')) {
    const [name = '', value = ''] = option.split(/=(.*)/s);
    if (name !== '') options.set(name, value);
  }
  return options;
}

export function parseMounts(mountinfo: string): MountLine[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [first, second] = line.split(' - ');
    if (first === undefined || second === undefined) return [];
    const [, , device = '', , mountpoint = '', options = '', ...propagation] = first.split(' ');
    const [type = '', source = '', own = ''] = second.split(' ');
    return [
      {
        device,
        mountpoint: plain(mountpoint),
        propagation: propagation.filter((field) => field !== ''),
        type,
        source: plain(source),
        options: optionsOf(options, own),
      },
    ];
  });
}

/** The mount that contains a path: the deepest one, and of several at the same place the last. */
export function mountAt(mounts: readonly MountLine[], path: string): MountLine | undefined {
  let found: MountLine | undefined;
  for (const mount of mounts) {
    const { mountpoint } = mount;
    const covers = path === mountpoint || path.startsWith(mountpoint === '/' ? '/' : `${mountpoint}/`);
    if (covers && mountpoint.length >= (found?.mountpoint.length ?? 0)) found = mount;
  }
  return found;
}

export const isFuseType = (type: string): boolean =>
  type === 'fuse' || type.startsWith('fuse.') || type === 'fuseblk';
export const isNfs = ({ type }: MountLine): boolean => type === 'nfs' || type === 'nfs4';
export const isCifs = ({ type }: MountLine): boolean => type === 'cifs' || type === 'smb3';

/** Quotes a text as one word for the shell, if needed. */
export const word = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
