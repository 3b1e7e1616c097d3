/** From settings that are valid in themselves to a configuration that fits this machine. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { coveringMount, isFuse } from '../source/mountinfo.ts';
import { ClientRule } from './cidr.ts';
import type { Config, ExportConfig, ExportSmb, SmbUser } from './config.ts';
import { parseEndpoint, type Endpoint } from './endpoint.ts';
import type { Finding, Path } from './problems.ts';
import type { Settings } from './schema.ts';
import { parseNtHash, readSecretFile, UserSecret } from './secret.ts';

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Whether ports below 1024 may be used by default. */
  readonly root: boolean;
  /** Folders and secrets are those of another machine. */
  readonly elsewhere: boolean;
  /** Absolute path of the file that the settings came from. */
  readonly file: string | undefined;
  /** Whether the setting at this path came from the file, so that a relative path starts at the file's folder. */
  fromFile(path: Path): boolean;
}

type ExportSettings = Settings['exports'][string];

const privilegedPort = { smb: 445, nfs: 2049, admin: 9445 };
const plainPort = { smb: 1445, nfs: 12049, admin: 9445 };

class Resolver {
  readonly findings: Finding[] = [];
  readonly #surroundings: Surroundings;
  #mounts: string | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  config(settings: Settings): Config {
    const { root, file } = this.#surroundings;
    const ports = root ? privilegedPort : plainPort;
    const listen = (text: string | undefined, protocol: keyof typeof ports): Endpoint =>
      (text === undefined ? undefined : parseEndpoint(text)) ?? { host: '0.0.0.0', port: ports[protocol] };
    const { smb, nfs, admin, state, identity, log } = settings;
    this.#checkNames(Object.keys(settings.exports));
    const exports = Object.entries(settings.exports).map(([name, one]) => this.#export(name, one));
    this.#checkGuests(settings, exports);
    return {
      file,
      exports,
      smb: { ...smb, interfaces: smb.interfaces, listen: listen(smb.listen, 'smb') },
      nfs: {
        listen: listen(nfs.listen, 'nfs'),
        mountListen: nfs.mountListen === undefined ? undefined : parseEndpoint(nfs.mountListen),
        portmap: nfs.portmap,
      },
      admin: { listen: listen(admin.listen, 'admin') },
      state: state === undefined ? undefined : this.#absolute(['state'], state),
      identity,
      log,
    };
  }

  /** SMB compares share names without case. */
  #checkNames(names: readonly string[]): void {
    const seen = new Map<string, string>();
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

  #checkGuests({ smb }: Settings, exports: readonly ExportConfig[]): void {
    const guest = exports.find((one) => one.smb.guest);
    if (!guest) return;
    for (const key of ['signing', 'encryption'] as const) {
      if (smb[key] !== 'required') continue;
      const problem = `"required" shuts out export ${guest.name}, whose guests have no key for it`;
      this.#find(['smb', key], `${problem}; expected "auto", or users instead of guests`);
    }
  }

  #export(name: string, settings: ExportSettings): ExportConfig {
    const at = ['exports', name];
    const { expectFuse, readOnly, times, nfs } = settings;
    const path = this.#absolute([...at, 'path'], settings.path);
    this.#checkFolder([...at, 'path'], path, expectFuse);
    return {
      name,
      path,
      expectFuse,
      readOnly,
      times,
      failAfter: (settings.failAfter ?? Infinity) * 1000,
      smb: this.#smb([...at, 'smb'], settings),
      nfs: {
        clients: new ClientRule(nfs.clients ?? settings.clients),
        squash: nfs.squash,
        uid: nfs.uid,
        gid: nfs.gid,
      },
    };
  }

  #smb(at: Path, { smb, clients }: ExportSettings): ExportSmb {
    const seen = new Set<string>();
    const users: SmbUser[] = [];
    for (const [index, user] of (smb.users ?? []).entries()) {
      const here = [...at, 'users', index];
      const folded = user.name.toLowerCase();
      if (seen.has(folded)) this.#find([...here, 'name'], 'given twice; expected each user once');
      seen.add(folded);
      const secret = this.#secret(here, user);
      if (secret) users.push({ name: user.name, secret });
    }
    const { encrypt, persistentHandles, followSymlinks } = smb;
    return {
      guest: smb.users === undefined,
      users,
      clients: new ClientRule(clients),
      encrypt,
      persistentHandles,
      followSymlinks,
    };
  }

  #secret(at: Path, user: NonNullable<ExportSettings['smb']['users']>[number]): UserSecret | undefined {
    const { passwordFile, passwordEnv, ntHashFile } = user;
    if (this.#surroundings.elsewhere) return undefined;
    if (passwordEnv !== undefined) {
      const password = this.#surroundings.env[passwordEnv];
      if (password !== undefined && password !== '') return new UserSecret('password', password);
      const problem = `the environment variable ${passwordEnv} is not set`;
      this.#find([...at, 'passwordEnv'], `${problem}; expected a variable that holds the password`);
      return undefined;
    }
    const key = passwordFile === undefined ? 'ntHashFile' : 'passwordFile';
    const path = this.#absolute([...at, key], passwordFile ?? ntHashFile!);
    try {
      const text = readSecretFile(path);
      return key === 'passwordFile'
        ? new UserSecret('password', text)
        : new UserSecret('ntHash', parseNtHash(text));
    } catch (error) {
      const holds = key === 'passwordFile' ? 'the password' : 'the NT hash';
      this.#find([...at, key], `${path} ${(error as Error).message}; expected a readable file with ${holds}`);
      return undefined;
    }
  }

  /** A path inside a FUSE mount is not asked about: its daemon may be dead, or hang for ever. */
  #checkFolder(at: Path, path: string, expectFuse: boolean): void {
    if (this.#surroundings.elsewhere || this.#insideFuse(path)) return;
    const hint = expectFuse ? 'the folder on which the FUSE tree is or will be mounted' : 'a folder';
    try {
      if (!statSync(path).isDirectory()) this.#find(at, `${path} is not a folder; expected ${hint}`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const problem =
        code === 'ENOENT' ? 'does not exist' : `cannot be looked at (${code ?? 'unknown error'})`;
      this.#find(at, `${path} ${problem}; expected ${hint}`);
    }
  }

  #insideFuse(path: string): boolean {
    try {
      this.#mounts ??= readFileSync('/proc/self/mountinfo', 'latin1');
    } catch {
      this.#mounts = '';
    }
    const mount = coveringMount(this.#mounts, Buffer.from(path, 'utf8').toString('latin1'));
    return mount !== undefined && isFuse(mount.type);
  }

  #absolute(at: Path, path: string): string {
    const { cwd, file } = this.#surroundings;
    return resolve(file !== undefined && this.#surroundings.fromFile(at) ? dirname(file) : cwd, path);
  }

  #find(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    this.findings.push({ path, at, message });
  }
}

/** The configuration, and what of it cannot work here. */
export function resolveSettings(
  settings: Settings,
  surroundings: Surroundings,
): { config: Config; findings: readonly Finding[] } {
  const resolver = new Resolver(surroundings);
  return { config: resolver.config(settings), findings: resolver.findings };
}
