import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { inside, listening, makeFolder, startService, waitFor } from './sandbox.mjs';

/**
 * @typedef {import('./sandbox.mjs').Sandbox} Sandbox
 *
 * @typedef {object} Address
 * @property {number} port
 * @property {number} mountPort MOUNT's port (NFS)
 * @property {string} share export path (NFS) or share name (SMB)
 *
 * @typedef {object} Server
 * @property {Address} address
 * @property {number} pid of the process that was started
 * @property {() => Promise<void>} stop
 *
 * @typedef {object} Source
 * @property {string} path the tree to serve
 * @property {boolean} fuse whether it is a FUSE mount
 */

export const smbUser = { name: 'daemon', password: 'Benchmark-1' };

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const ports = { nfs: 12049, mount: 12048, smb: 1445 };
let started = 0;

/** @param {number | undefined} pid */
const known = (pid) => pid ?? 0;

/**
 * NFS-Ganesha 4 with NFSv3 only. It needs a portmapper, and both use fixed paths under /run and /var, so they run in a mount
 * namespace with empty folders there.
 * @param {Sandbox} sandbox
 * @param {Source} source
 * @returns {Promise<Server>}
 */
export async function startGanesha(sandbox, source) {
  const name = `ganesha-${++started}`;
  const folder = makeFolder(sandbox, name);
  const config = join(folder, 'ganesha.conf');
  writeFileSync(
    config,
    `NFS_CORE_PARAM {
  Protocols = 3; NFS_Port = ${ports.nfs}; MNT_Port = ${ports.mount};
  Enable_NLM = false; Enable_RQUOTA = false;
}
EXPORT {
  Export_Id = 1; Path = "${source.path}"; Pseudo = "/bench"; Protocols = 3; Access_Type = RO;
  Squash = No_Root_Squash; SecType = sys; Filesystem_id = 77.1;
  FSAL { Name = VFS; }
}
LOG { Default_Log_Level = WARN; }
`,
  );
  const script = `set -e
for folder in /run /var/lib/nfs; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/rpcbind /run/ganesha /var/lib/nfs/ganesha
rpcbind
exec ganesha.nfsd -F -L STDERR -p "$1/ganesha.pid" -f "$1/ganesha.conf"`;
  const argv = inside(sandbox, ['sh', '-c', script, 'ganesha', folder], { isolated: true });
  const service = startService(sandbox, name, argv);
  await waitFor(
    service,
    'ganesha.nfsd',
    () => listening(sandbox, ports.nfs) && listening(sandbox, ports.mount),
  );
  return {
    address: { port: ports.nfs, mountPort: ports.mount, share: source.path },
    pid: known(service.child.pid),
    stop: service.stop,
  };
}

/**
 * smbd with the link count shim and separate folders for all its files.
 * @param {Sandbox} sandbox
 * @param {Source} source
 * @returns {Promise<Server>}
 */
export async function startSmbd(sandbox, source) {
  const name = `smbd-${++started}`;
  const folder = makeFolder(sandbox, name);
  const folders = [
    'private dir',
    'lock directory',
    'state directory',
    'cache directory',
    'pid directory',
    'ncalrpc dir',
  ];
  const config = join(folder, 'smb.conf');
  writeFileSync(
    config,
    `[global]
${folders.map((key) => `  ${key} = ${makeFolder(sandbox, join(name, key.replace(' ', '-')))}`).join('\n')}
  log file = ${join(folder, 'smbd.log')}
  server role = standalone server
  smb ports = ${ports.smb}
  interfaces = 127.0.0.1
  bind interfaces only = yes
  server min protocol = SMB2
  map to guest = Bad User
  guest account = nobody
  disable netbios = yes
  disable spoolss = yes
  load printers = no
[dfs]
  path = ${source.path}
  read only = yes
  guest ok = yes
`,
  );
  execFileSync('smbpasswd', ['-c', config, '-s', '-a', smbUser.name], {
    input: `${smbUser.password}\n${smbUser.password}\n`,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  const command = [
    'env',
    `LD_PRELOAD=${build('nlink.so')}`,
    'smbd',
    '-F',
    '--no-process-group',
    '-s',
    config,
  ];
  const service = startService(sandbox, name, inside(sandbox, command, { isolated: true }));
  await waitFor(service, 'smbd', () => listening(sandbox, ports.smb));
  return {
    address: { port: ports.smb, mountPort: 0, share: 'dfs' },
    pid: known(service.child.pid),
    stop: service.stop,
  };
}

/**
 * The port that Holdfast's log announces for a protocol. All ports are announced together: if another protocol's is there
 * and this one's is not, this protocol is not served.
 * @param {string} log JSON lines
 * @param {import('./build.mjs').Protocol} protocol
 * @returns {number | undefined}
 */
function announcedPort(log, protocol) {
  const announced = log
    .split('\n')
    .filter((line) => line.includes('"listening"') && line.endsWith('}'))
    .map((line) => JSON.parse(line))
    .filter((entry) => entry.msg === 'listening');
  const found = announced.find((entry) => entry.protocol === protocol);
  if (!found && announced.some((entry) => entry.protocol === 'admin')) {
    throw new Error(`holdfast does not serve ${protocol}`);
  }
  return found?.port;
}

/**
 * Holdfast with its ports chosen by the system.
 * @param {Sandbox} sandbox
 * @param {Source} source
 * @param {import('./build.mjs').Protocol} protocol
 * @param {boolean} users whether SMB wants a user, as signing and encryption do
 * @returns {Promise<Server>}
 */
export async function startHoldfast(sandbox, source, protocol, users) {
  const name = `holdfast-${++started}`;
  const folder = makeFolder(sandbox, name);
  const config = join(folder, 'holdfast.yaml');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, smbUser.password, { mode: 0o600 });
  const smb = users ? { users: [{ name: smbUser.name, passwordFile }] } : { guest: true };
  const served = { path: source.path, expectFuse: source.fuse, smb };
  const listen = { listen: '127.0.0.1:0' };
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({ exports: { dfs: served }, nfs: listen, smb: listen, admin: listen }),
  );
  const flags = process.env.HOLDFAST_NODE_FLAGS?.split(' ') ?? [];
  const argv = inside(sandbox, [process.execPath, ...flags, main, 'serve', '--config', config]);
  const service = startService(sandbox, name, argv, { grace: 5000 });
  const port = await waitFor(service, 'holdfast', () =>
    announcedPort(readFileSync(service.log, 'utf8'), protocol),
  );
  return {
    address: { port, mountPort: port, share: protocol === 'nfs' ? '/dfs' : 'dfs' },
    pid: known(service.child.pid),
    stop: service.stop,
  };
}
