/** The servers to compare with: smbd and NFS-Ganesha. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { detachNow, FOLDER_PREFIX } from '../../src/demo/mounts.ts';
import type { FuseTreeOptions } from '../kit/fuse.ts';
import { compiled } from './compile.ts';
import { ports } from './lab.ts';
import { Peer } from './peer.ts';
import type { Place, Protocol, ServerKind, Start } from './server.ts';

interface Program {
  /** Writes the configuration and returns the server's command. `state`: the folder for the server's files. */
  readonly command: (state: string, options: Start) => readonly string[];
  readonly listens: readonly number[];
  /** The port of NFS's MOUNT protocol. */
  readonly mountPort?: number;
  readonly tree?: FuseTreeOptions;
}

/**
 * Makes a folder for the tree and the server's files. It is a shared mount, so that a server in another mount namespace sees a
 * tree that is mounted later, even if the machine's own mounts do not propagate. The folder's name lets the next run's FUSE
 * tree remove what a killed run has left.
 */
function makePlace({ command, listens, mountPort, tree = {} }: Program): Place {
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${String(process.pid)}-`));
  // smbd enters the folder as user nobody.
  chmodSync(folder, 0o711);
  const shared = join(folder, 'shared');
  const mountpoint = join(shared, 'dfs');
  const state = join(folder, 'state');
  for (const path of [shared, state]) mkdirSync(path);
  execFileSync('mount', ['--bind', shared, shared]);
  execFileSync('mount', ['--make-shared', shared]);
  mkdirSync(mountpoint);
  const dispose = () => {
    detachNow(shared);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', dispose);
  return {
    tree: { ...tree, mountpoint },
    ...(mountPort === undefined ? {} : { nfs: { export: mountpoint, mountPort } }),
    start: (options) => Peer.start(command(state, options), options.netns, listens),
    dispose: () => {
      process.off('exit', dispose);
      dispose();
    },
  };
}

/** One read-only share for guests, with the link count shim: smbd treats files with link count 0 as deleted. */
export function smbdCommand(state: string, mountpoint: string, port: number = ports.smb): string[] {
  const shim = fileURLToPath(new URL('../../bench/shim/nlink.c', import.meta.url));
  const kinds = [
    'private dir',
    'lock directory',
    'state directory',
    'cache directory',
    'pid directory',
    'ncalrpc dir',
  ];
  const folders = kinds.map((kind) => {
    const path = join(state, kind.replace(' ', '-'));
    mkdirSync(path, { recursive: true });
    return `  ${kind} = ${path}`;
  });
  const config = join(state, 'smb.conf');
  writeFileSync(
    config,
    `[global]
${folders.join('\n')}
  server role = standalone server
  smb ports = ${port}
  server min protocol = SMB2
  map to guest = Bad User
  guest account = nobody
  disable netbios = yes
  disable spoolss = yes
  load printers = no
  enable core files = no
[dfs]
  path = ${mountpoint}
  read only = yes
  guest ok = yes
  force user = nobody
`,
  );
  const preload = `LD_PRELOAD=${compiled(shim, ['-shared', '-fPIC'])}`;
  return ['env', preload, 'smbd', '-F', '--no-process-group', '--debug-stdout', '-s', config];
}

const ganeshaMountPort = 12_048;

/**
 * Ganesha needs a portmapper, and both use fixed paths under /run and /var. They run in a mount namespace with separate
 * folders there; it receives mounts and unmounts from outside. Ganesha inspects every mount at its start: FUSE mounts of
 * other labs are detached in the namespace, as they may hang.
 */
const ganeshaScript = `set -e
awk -v own="$2" '$3 == "fuse" && $2 != own { print $2 }' /proc/mounts | xargs -r umount -l
mount -t tmpfs tmpfs /run
mount --bind "$1/lib" /var/lib/nfs
mkdir -p /run/rpcbind /run/ganesha /var/lib/nfs/ganesha
rpcbind -f &
until [ -S /run/rpcbind.sock ]; do sleep 0.05; done
exec ganesha.nfsd -F -L STDERR -p /run/ganesha/pid -f "$1/ganesha.conf"`;

function ganeshaCommand(state: string, { mountpoint }: Start): string[] {
  mkdirSync(join(state, 'lib'), { recursive: true });
  writeFileSync(
    join(state, 'ganesha.conf'),
    `NFS_CORE_PARAM {
  Protocols = 3; NFS_Port = ${ports.nfs}; MNT_Port = ${ganeshaMountPort};
  Enable_NLM = false; Enable_RQUOTA = false;
}
EXPORT {
  Export_Id = 1; Path = "${mountpoint}"; Pseudo = "/dfs"; Protocols = 3; Access_Type = RO;
  Squash = No_Root_Squash; SecType = sys; Filesystem_id = 77.1;
  FSAL { Name = VFS; }
}
LOG { Default_Log_Level = WARN; }
`,
  );
  const apart = ['unshare', '--mount', '--propagation', 'slave'];
  return [...apart, 'sh', '-c', ganeshaScript, 'ganesha', state, mountpoint];
}

/** `NAME 4.17`, from the program's version output. */
function versioned(name: string, [program, ...args]: readonly [string, string]): string {
  const said = execFileSync(program, args, { encoding: 'utf8' });
  return `${name} ${/\d+\.\d+/.exec(said)?.[0] ?? said.trim()}`;
}

/** The peer of each protocol. */
export function peers(): Readonly<Record<Protocol, ServerKind>> {
  return {
    nfs: {
      name: versioned('Ganesha', ['ganesha.nfsd', '-v']),
      // The kernel's NFS client treats a link count of zero as stale, and the shim does not cover all of Ganesha's calls.
      prepare: () =>
        makePlace({
          command: ganeshaCommand,
          listens: [ports.nfs, ganeshaMountPort],
          mountPort: ganeshaMountPort,
          tree: { nlink: 1 },
        }),
    },
    smb: {
      name: versioned('smbd', ['smbd', '-V']),
      prepare: () =>
        makePlace({
          command: (state, { mountpoint }) => smbdCommand(state, mountpoint),
          listens: [ports.smb],
        }),
    },
  };
}
