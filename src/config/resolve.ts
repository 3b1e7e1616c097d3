/** Turns valid settings into the configuration: applies this machine's defaults and checks folders and secrets. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { defaultBudget } from '../cache/memory.ts';
import { exportsMax } from '../source/lanes.ts';
import { MountTable } from '../source/mount-table.ts';
import { missingFolders } from '../state/folder.ts';
import { ClientRule } from './cidr.ts';
import type { ChildConfig, Config, ExportConfig, ExportSmb, LinkedExport, SmbUser } from './config.ts';
import { formatEndpoint, parseEndpoint, type Endpoint } from './endpoint.ts';
import { landing } from './landing.ts';
import type { Finding, Path } from './problems.ts';
import type { Settings } from './schema.ts';
import { parseNtHash, readSecretFile, UserSecret } from './secret.ts';

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Whether ports below 1024 may be used by default. */
  readonly root: boolean;
  /** The configuration is for another machine: its folders and secrets are not here. */
  readonly elsewhere: boolean;
  /** Absolute path of the configuration file. */
  readonly file: string | undefined;
  /** Whether the setting at this path came from the file: then a relative path starts at the file's folder. */
  fromFile(path: Path): boolean;
}

type ExportSettings = Settings['exports'][string];

const privilegedPort = { smb: 445, nfs: 2049, admin: 9445 };
const plainPort = { smb: 1445, nfs: 12049, admin: 9445 };

const loopback = ['127.0.0.0/8', '::1/128'];

/** The default of `identity`. */
const publicIdentity = 'holdfast';
/** User and group id of callers that have no id of their own on this system. */
const nobody = 65534;
/** The least number of characters of a secret, so that it cannot be guessed. */
const shortestSecret = 16;

/** Filesystems of the kernel, in which mkdir(2) fails even for root. */
const withoutFolders: ReadonlySet<string> = new Set(['proc', 'sysfs', 'debugfs', 'tracefs', 'securityfs']);

class Resolver {
  readonly findings: Finding[] = [];
  readonly #surroundings: Surroundings;
  #mounts: MountTable | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  config(settings: Settings): Config {
    const { root, file } = this.#surroundings;
    const ports = root ? privilegedPort : plainPort;
    const listen = (text: string | undefined, protocol: keyof typeof ports, host = '0.0.0.0'): Endpoint =>
      (text === undefined ? undefined : parseEndpoint(text)) ?? { host, port: ports[protocol] };
    const { smb, nfs, admin, cache, discovery, state, identity, log } = settings;
    this.#checkNames(Object.keys(settings.exports));
    const exports = Object.entries(settings.exports).map(([name, one]) => this.#export(name, one));
    this.#checkGuests(settings, exports);
    this.#checkLinks(exports);
    const endpoints = {
      nfs: { listen: listen(nfs.listen, 'nfs') },
      smb: { listen: listen(smb.listen, 'smb') },
      admin: { listen: listen(admin.listen, 'admin', '127.0.0.1') },
    };
    const mountListen = nfs.mountListen === undefined ? undefined : parseEndpoint(nfs.mountListen);
    this.#checkEndpoints(settings, { ...endpoints, mountListen });
    const hasToken = admin.tokenFile !== undefined || admin.tokenEnv !== undefined;
    return {
      file,
      exports: exports.map((one) => withPaths(one, exports)),
      smb: { ...smb, interfaces: smb.interfaces, ...endpoints.smb },
      nfs: {
        ...endpoints.nfs,
        mountListen,
        portmap: nfs.portmap,
      },
      admin: {
        ...endpoints.admin,
        details: new ClientRule([...(hasToken ? [] : loopback), ...admin.details]),
        hosts: admin.hosts.map((name) => name.toLowerCase()),
        token: this.#longSecret(['admin'], 'token', admin.tokenFile, admin.tokenEnv),
      },
      discovery,
      run: this.#children(settings.run),
      cache: { memory: cache.memory ?? defaultBudget() },
      state: state === undefined ? undefined : this.#stateFolder(state),
      identity: identity ?? publicIdentity,
      ownIdentity: identity !== undefined && identity !== publicIdentity,
      secret: this.#handleSecret(settings),
      secretVariables: secretVariables(settings),
      log,
    };
  }

  /** Checks the number of exports and their names. SMB compares share names without case. */
  #checkNames(names: readonly string[]): void {
    const seen = new Map<string, string>();
    if (names.length > exportsMax)
      this.#find(
        ['exports'],
        `${names.length} exports; expected at most ${exportsMax}, as they share one pool of threads`,
      );
    if (names.length === 0)
      this.#find(['exports'], 'empty; expected at least one export such as { dfs: { path: /mnt/dfs } }');
    for (const name of names) {
      const first = seen.get(name.toLowerCase());
      if (first === undefined) seen.set(name.toLowerCase(), name);
      else
        this.#find(
          ['exports', name],
          `the same export name as ${first}; expected names that differ in more than case`,
          'key',
        );
    }
  }

  /** Two servers cannot listen at the same address and port. */
  #checkEndpoints(settings: Settings, { nfs, smb, admin, mountListen }: Endpoints): void {
    // For another machine only some of the endpoints matter, and the others are defaults.
    if (this.#surroundings.elsewhere) return;
    const places = [
      { key: ['nfs', 'listen'], at: nfs.listen, given: settings.nfs.listen },
      { key: ['nfs', 'mountListen'], at: mountListen, given: settings.nfs.mountListen },
      { key: ['smb', 'listen'], at: smb.listen, given: settings.smb.listen },
      { key: ['admin', 'listen'], at: admin.listen, given: settings.admin.listen },
    ];
    for (const [index, one] of places.entries()) {
      const other = places.slice(0, index).find(({ at }) => at && one.at && isSamePlace(at, one.at));
      if (!other) continue;
      const [wrong, right] = one.given === undefined ? [other, one] : [one, other];
      const problem = `${right.key.join('.')} (${formatEndpoint(right.at!)}) takes the same address and port`;
      this.#find(wrong.key, `${problem}; expected a port of its own for each`);
    }
  }

  #checkGuests({ smb }: Settings, exports: readonly ExportConfig[]): void {
    const guest = exports.find((one) => one.smb.guest);
    if (!guest) return;
    for (const key of ['signing', 'encryption'] as const) {
      if (smb[key] !== 'required') continue;
      const problem = `"required" shuts out export ${guest.name}, whose guests have no key for it`;
      this.#find(['smb', key], `${problem}; expected "auto", or users instead of guests`);
    }
  }

  #checkLinks(exports: readonly ExportConfig[]): void {
    for (const { name, smb } of exports)
      for (const { name: linked } of smb.links) {
        const at = ['exports', name, 'followSymlinks'];
        const other = exports.find((one) => one.name === linked);
        if (!other || linked === name)
          this.#find(at, `no other export is named ${linked}; expected names of other exports`);
        else if (other.smb.encrypt && !smb.encrypt)
          this.#find(at, `${linked} is for clients that encrypt; expected encrypt: true here as well`);
      }
  }

  #export(name: string, settings: ExportSettings): ExportConfig {
    const at = ['exports', name];
    const { expectFuse, mounts, readOnly, times, nfs } = settings;
    const path = this.#absolute([...at, 'path'], settings.path);
    this.#checkFolder([...at, 'path'], path, expectFuse);
    return {
      name,
      path,
      expectFuse,
      mounts,
      readOnly,
      times,
      failAfter: (settings.failAfter ?? Infinity) * 1000,
      readDeadline: settings.readDeadline * 1000,
      verdict: settings.verdict * 1000,
      idleClose: settings.idleClose === undefined ? undefined : settings.idleClose * 1000,
      readAhead: settings.readAhead,
      smb: this.#smb([...at, 'smb'], settings),
      nfs: {
        clients: new ClientRule(nfs.clients ?? settings.clients),
        squash: nfs.squash,
        uid: nfs.uid ?? settings.uid ?? nobody,
        gid: nfs.gid ?? settings.gid ?? nobody,
      },
    };
  }

  #children(run: Settings['run']): ChildConfig[] {
    const names = new Set<string>();
    return run.map(({ name, command, mount, restart, afterCrash }, index) => {
      const at = ['run', index];
      const [program, ...rest] = command as [string, ...string[]];
      const child: ChildConfig = {
        name: name ?? basename(program),
        command: [program, ...rest],
        mount: mount === undefined ? undefined : this.#absolute([...at, 'mount'], mount),
        restart,
        afterCrash,
      };
      if (names.has(child.name))
        this.#find(at, `a second child with the name ${child.name}; expected a name of its own for each`);
      names.add(child.name);
      return child;
    });
  }

  #smb(at: Path, { smb, clients, nfs, ...own }: ExportSettings): ExportSmb {
    const uid = own.uid ?? nfs.uid ?? nobody;
    const gid = own.gid ?? nfs.gid ?? nobody;
    const seen = new Set<string>();
    const users: SmbUser[] = [];
    for (const [index, user] of (smb.users ?? []).entries()) {
      const here = [...at, 'users', index];
      const folded = user.name.toLowerCase();
      if (seen.has(folded)) this.#find([...here, 'name'], 'given twice; expected each user once');
      seen.add(folded);
      const secret = this.#secret(here, user);
      if (secret) users.push({ name: user.name, secret, uid: user.uid ?? uid, gid: user.gid ?? gid });
    }
    const { encrypt, persistentHandles } = smb;
    const follow = own.followSymlinks ?? (smb.followSymlinks ? 'within' : 'never');
    return {
      guest: smb.users === undefined,
      users,
      uid,
      gid,
      clients: new ClientRule(clients),
      encrypt,
      persistentHandles,
      followSymlinks: follow !== 'never',
      links: linksOf(follow),
    };
  }

  #secret(at: Path, user: NonNullable<ExportSettings['smb']['users']>[number]): UserSecret | undefined {
    const { passwordFile, passwordEnv, ntHashFile } = user;
    if (this.#surroundings.elsewhere) return undefined;
    if (passwordEnv !== undefined) return this.#fromVariable([...at, 'passwordEnv'], passwordEnv, 'password');
    if (passwordFile !== undefined) return this.#fromFile([...at, 'passwordFile'], passwordFile, 'password');
    return this.#fromFile([...at, 'ntHashFile'], ntHashFile!, 'ntHash');
  }

  /** The secret part of the key of all handles. */
  #handleSecret({ secretFile, secretEnv }: Settings): UserSecret | undefined {
    return this.#longSecret([], 'secret', secretFile, secretEnv);
  }

  /** Reads a secret from the setting NAMEFile or NAMEEnv and checks its length, so that it cannot be guessed. */
  #longSecret(
    at: Path,
    name: 'secret' | 'token',
    file: string | undefined,
    variable: string | undefined,
  ): UserSecret | undefined {
    if (this.#surroundings.elsewhere) return undefined;
    const place = [...at, file === undefined ? `${name}Env` : `${name}File`];
    let secret: UserSecret | undefined;
    if (file !== undefined) secret = this.#fromFile(place, file, 'key');
    else if (variable !== undefined) secret = this.#fromVariable(place, variable, 'key');
    if (secret && secret.reveal().length < shortestSecret) {
      const problem = `holds fewer than ${shortestSecret} characters`;
      this.#find(place, `${problem}; expected a secret that cannot be guessed (openssl rand -hex 32)`);
    }
    return secret;
  }

  #fromVariable(at: Path, variable: string, kind: 'password' | 'key'): UserSecret | undefined {
    const value = this.#surroundings.env[variable];
    if (value !== undefined && value !== '') return new UserSecret(kind, value);
    const problem = `the environment variable ${variable} is not set`;
    this.#find(at, `${problem}; expected a variable that holds the ${kind === 'key' ? 'secret' : kind}`);
    return undefined;
  }

  #fromFile(at: Path, file: string, kind: UserSecret['kind']): UserSecret | undefined {
    const path = this.#absolute(at, file);
    try {
      const text = readSecretFile(path);
      return new UserSecret(kind, kind === 'ntHash' ? parseNtHash(text) : text);
    } catch (error) {
      const holds = { password: 'the password', ntHash: 'the NT hash', key: 'the secret' }[kind];
      this.#find(at, `${path} ${(error as Error).message}; expected a readable file with ${holds}`);
      return undefined;
    }
  }

  /** Never calls into a FUSE mount: its daemon may be dead or hang. */
  #checkFolder(at: Path, path: string, expectFuse: boolean): void {
    if (this.#surroundings.elsewhere) return;
    const hint = expectFuse ? 'the folder on which the FUSE tree is or will be mounted' : 'a folder';
    try {
      const place = landing(path, this.#mountTable);
      if (place !== undefined && !statSync(place).isDirectory())
        this.#find(at, `${path} is not a folder; expected ${hint}`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const problem =
        code === 'ENOENT' ? 'does not exist' : `cannot be accessed (${code ?? 'unknown error'})`;
      this.#find(at, `${path} ${problem}; expected ${hint}`);
    }
  }

  /** Checks that the folder exists or can be made. Never calls into a FUSE mount. */
  #stateFolder(setting: string): string {
    const path = this.#absolute(['state'], setting);
    if (this.#surroundings.elsewhere || this.#isInFuse(path)) return path;
    const expected = 'a folder that this user can write to, or a place where it can be made';
    try {
      const { inside, missing } = missingFolders(path);
      const type = this.#mountTable.at(Buffer.from(inside).toString('latin1'))?.type ?? '';
      if (missing.length > 0 && withoutFolders.has(type))
        throw new Error(`${inside} is of type ${type}, in which no folder can be made`);
      accessSync(inside, constants.W_OK | constants.X_OK);
    } catch (error) {
      const { code, syscall, message, path: at = path } = error as NodeJS.ErrnoException;
      const problem = syscall === 'access' ? `this user may not write to ${at} (${code!})` : message;
      this.#find(['state'], `${problem}; expected ${expected}`);
    }
    return path;
  }

  /** Whether the path, or the part of it that exists, leads into a FUSE mount. */
  #isInFuse(path: string): boolean {
    for (let at = path; ; at = dirname(at)) {
      try {
        return landing(at, this.#mountTable) === undefined;
      } catch {
        if (at === '/') return false;
      }
    }
  }

  get #mountTable(): MountTable {
    if (!this.#mounts) {
      let text = '';
      try {
        text = readFileSync('/proc/self/mountinfo', 'latin1');
      } catch {
        // Without /proc no mount is known, so every folder is checked with stat.
      }
      this.#mounts = new MountTable(text);
    }
    return this.#mounts;
  }

  #absolute(at: Path, path: string): string {
    const { cwd, file } = this.#surroundings;
    return resolve(file !== undefined && this.#surroundings.fromFile(at) ? dirname(file) : cwd, path);
  }

  #find(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    this.findings.push({ path, at, message });
  }
}

interface Endpoints extends Record<'nfs' | 'smb' | 'admin', { readonly listen: Endpoint }> {
  readonly mountListen: Endpoint | undefined;
}

/** Whether nobody can listen at both: an address of all interfaces takes the port of each. */
function isSamePlace(one: Endpoint, other: Endpoint): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  const hosts = [one.host, other.host];
  const isV6 = (host: string) => host.includes(':');
  if (one.host === other.host || hosts.includes('::')) return true;
  return hosts.includes('0.0.0.0') && !hosts.some(isV6);
}

/** Other exports into which links are followed, with the paths that the setting gives. */
function linksOf(follow: NonNullable<ExportSettings['followSymlinks']>): LinkedExport[] {
  if (typeof follow === 'string') return [];
  if (Array.isArray(follow)) return follow.map((name) => ({ name, paths: [] }));
  return Object.entries(follow).map(([name, paths]) => ({ name, paths: [paths].flat() }));
}

/** The same export, with the own paths of those into which its links lead. */
function withPaths(config: ExportConfig, exports: readonly ExportConfig[]): ExportConfig {
  const links = config.smb.links.map(({ name, paths }) => {
    const own = exports.find((one) => one.name === name);
    return { name, paths: own ? [own.path, ...paths] : paths };
  });
  return { ...config, smb: { ...config.smb, links } };
}

/** Names of all variables that hold a secret, whether they are set or not. */
function secretVariables({ exports, secretEnv, admin }: Settings): string[] {
  const users = Object.values(exports).flatMap(({ smb }) => smb.users ?? []);
  const names = [secretEnv, admin.tokenEnv, ...users.map(({ passwordEnv }) => passwordEnv)];
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** Returns the configuration and the findings: settings that cannot work on this machine. */
export function resolveSettings(
  settings: Settings,
  surroundings: Surroundings,
): { config: Config; findings: readonly Finding[] } {
  const resolver = new Resolver(surroundings);
  return { config: resolver.config(settings), findings: resolver.findings };
}
