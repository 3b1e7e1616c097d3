/** A minimal Debian of this machine's release, with git, and with this machine's Node and npm. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const inherit = { stdio: ['ignore', 'inherit', 'inherit'] };
const output = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' });

/** Names of environment variables for network access: proxies and certificates. */
const aboutNetwork = /proxy|cert|ssl|ca_bundle|cainfo/i;

/** The environment of a login shell, plus the network variables of `env`. */
export function machineEnvironment(env) {
  const network = Object.entries(env).filter(([name]) => aboutNetwork.test(name));
  return {
    ...Object.fromEntries(network),
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
  };
}

/** Debian's own archives, as this machine's apt knows them: `[{ uri, suite, component }]`. */
function archives() {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN) $(CREATED_BY)';
  const lines = new Set(output('apt-get', 'indextargets', '--format', format).split('\n'));
  return [...lines]
    .map((line) => line.split(' '))
    .filter(([, , , origin, kind]) => origin === 'Debian' && kind === 'Packages')
    .map(([uri, suite, component]) => ({ uri, suite, component }));
}

/** Makes the machine at `root`, a folder that does not exist yet, with a clone of `revision` in /root/holdfast. */
export function makeMachine(root, repository, revision) {
  const [, release] = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? [];
  const sources = archives();
  const main = sources.find(({ suite, component }) => suite === release && component === 'main');
  if (!main) throw new Error('apt knows no main archive of this Debian release (apt-get update?)');
  const packages = '--include=git,ca-certificates';
  const log = execFileSync('debootstrap', ['--variant=minbase', packages, release, root, main.uri]);
  console.error(log.toString().trim().split('\n').at(-1));
  settingsOfThisMachine(root, sources);
  addNode(root);
  addClone(root, repository, revision);
  const inside = fileURLToPath(new URL('inside.mjs', import.meta.url));
  copyFileSync(inside, join(root, 'root/inside.mjs'));
}

/** Copies the settings that are needed to reach apt's and npm's registries, and no others. */
function settingsOfThisMachine(root, sources) {
  const list = sources.map(({ uri, suite, component }) => `deb ${uri} ${suite} ${component}\n`);
  writeFileSync(join(root, 'etc/apt/sources.list'), list.join(''));
  const settings = output('apt-config', 'dump').split('\n');
  const transport = settings.filter((line) => /^Acquire::(https?|Retries|ForceIPv[46])/.test(line));
  writeFileSync(join(root, 'etc/apt/apt.conf.d/90transport'), `${transport.join('\n')}\n`);
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) writeFileSync(join(root, file), readFileSync(file));
  const npmrc = join(homedir(), '.npmrc');
  if (existsSync(npmrc)) copyFileSync(npmrc, join(root, 'root/.npmrc'));
  const certificates = 'usr/local/share/ca-certificates';
  if (!existsSync(`/${certificates}`)) return;
  cpSync(`/${certificates}`, join(root, certificates), { recursive: true });
  execFileSync('chroot', [root, 'update-ca-certificates'], {
    stdio: 'ignore',
    env: machineEnvironment(process.env),
  });
}

function addNode(root) {
  const bin = join(root, 'usr/local/bin');
  copyFileSync(process.execPath, join(bin, 'node'));
  const modules = join(root, 'usr/local/lib/node_modules');
  mkdirSync(modules, { recursive: true });
  const npm = join(output('npm', 'root', '--global').trim(), 'npm');
  cpSync(npm, join(modules, 'npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name));
}

/** Adds a clone of the committed files, without node_modules and dist. */
function addClone(root, repository, revision) {
  const clone = join(root, 'root/holdfast');
  const commit = output('git', '-C', repository, 'rev-parse', '--verify', `${revision}^{commit}`).trim();
  mkdirSync(dirname(clone), { recursive: true });
  execFileSync('git', ['clone', '--quiet', '--no-checkout', repository, clone], inherit);
  execFileSync('git', ['-C', clone, 'checkout', '--quiet', '--detach', commit], inherit);
}
