/** How a kernel for the clients is found, fetched and probed (test/kit/kernels.ts). */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { probe, type Verdict } from './kit/kernels-boot.ts';
import { completeRoot } from './kit/debian-packages.ts';
import { fetchedKernel, fetchKernel } from './kit/kernels-fetch.ts';
import { KernelMemory, machine } from './kit/kernels-memory.ts';
import { mirrorsIn, sourceStanza } from './kit/kernels-sources.ts';
import { Kernels, type Kernel, type KernelSource } from './kit/kernels.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-kernels-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe("apt's lists", () => {
  it('name mirrors in stanzas, with their trust options', () => {
    const list = `# of the installer
Types: deb deb-src
URIs: http://one.example/debian http://two.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main
`;
    const mirrors = mirrorsIn(list, 'deb822', 'bookworm');
    const key = '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc';
    expect(mirrors).toEqual([
      { uri: 'http://one.example/debian', options: { 'signed-by': key } },
      { uri: 'http://two.example/debian', options: { 'signed-by': key } },
    ]);
    expect(sourceStanza(mirrors[0]!, 'sid')).toBe(`Types: deb
URIs: http://one.example/debian
Suites: sid
Components: main
Targets: Packages
signed-by: ${key}
`);
  });

  it('name mirrors in lines', () => {
    const list = `# deb http://comment.example/debian bookworm main
deb [arch=amd64 signed-by=/a.gpg,/b.gpg] https://one.example/debian bookworm main contrib # ours
deb https://security.example/debian-security bookworm-security main
deb-src https://sources.example/debian bookworm main
deb https://two.example/debian stable main
deb https://other.example/packages bookworm stable
`;
    expect(mirrorsIn(list, 'one-line', 'bookworm')).toEqual([
      { uri: 'https://one.example/debian', options: { 'signed-by': '/a.gpg /b.gpg' } },
      { uri: 'https://two.example/debian', options: {} },
    ]);
  });
});

/** Fake kernels: only names and the results of their probes. */
class Fakes {
  readonly said: string[] = [];
  readonly probed: string[] = [];
  readonly fetched: string[] = [];
  readonly #here = new Set<string>(['system']);
  readonly #verdicts: Readonly<Record<string, Verdict>>;
  readonly #unreachable: readonly string[];

  constructor(verdicts: Readonly<Record<string, Verdict>> = {}, unreachable: readonly string[] = []) {
    this.#verdicts = verdicts;
    this.#unreachable = unreachable;
  }

  /** The kernels as seen by one process of the run. */
  kernels(run = '1', forced?: string): Kernels {
    return new Kernels({
      sources: ['system', 'trixie', 'sid'].map((name) => this.#source(name)),
      memory: new KernelMemory(folder, run, 'this-machine'),
      probe: ({ name }) => {
        this.probed.push(name);
        return Promise.resolve(this.#verdicts[name] ?? { boots: true, lasting: true });
      },
      key: ({ name }) => name,
      say: (line) => this.said.push(line),
      forced,
    });
  }

  #source(name: string): KernelSource {
    const kernel = { name, release: `release of ${name}`, modules: '' };
    return {
      name,
      find: () => (this.#here.has(name) ? kernel : undefined),
      fetch: () => {
        this.fetched.push(name);
        if (this.#unreachable.includes(name)) return Promise.reject(new Error('no route'));
        this.#here.add(name);
        return Promise.resolve(kernel);
      },
    };
  }
}

const amx: Verdict = { boots: false, why: 'ptrace set fp regs failed, errno = 14', lasting: true };
const nameOf = ({ name }: Kernel) => name;

describe('the choice of a kernel', () => {
  it('is the system’s if it boots; nothing is fetched, and no other process probes it again', async () => {
    const fakes = new Fakes();
    expect(await fakes.kernels().get()).toMatchObject({ name: 'system' });
    expect(await fakes.kernels().get('oldest')).toMatchObject({ name: 'system' });
    expect(await fakes.kernels('2').get()).toMatchObject({ name: 'system' });
    expect([fakes.probed, fakes.fetched]).toEqual([['system'], []]);
  });

  it('is a newer one if the system’s does not boot, and says why', async () => {
    const fakes = new Fakes({ system: amx, trixie: amx });
    expect(await fakes.kernels().get()).toMatchObject({ name: 'sid' });
    expect(fakes.fetched).toEqual(['trixie', 'sid']);
    expect(fakes.said.at(-1)).toBe(
      'kernel client (default): Linux release of sid (sid); ' +
        'Linux release of system (system) does not boot here: ptrace set fp regs failed, errno = 14; ' +
        'Linux release of trixie (trixie) does not boot here: ptrace set fp regs failed, errno = 14',
    );
    await fakes.kernels('2').get();
    expect(fakes.probed).toEqual(['system', 'trixie', 'sid']);
    const file = join(folder, 'boots-this-machine.json');
    expect(fakes.said.at(-1)).toContain(`errno = 14 (tried before; remove ${file} to try again)`);
  });

  it('fetches nothing by default while a kernel on this machine boots', async () => {
    const fakes = new Fakes({ system: amx });
    await fakes.kernels().get('sid');
    expect(await fakes.kernels().get()).toMatchObject({ name: 'sid' });
    expect(fakes.fetched).toEqual(['sid']);
  });

  it('fails with every reason where none boots', async () => {
    const fakes = new Fakes({ system: amx, sid: amx }, ['trixie']);
    await expect(fakes.kernels().get('newest')).rejects.toThrow(
      /^no kernel.*\n.*\(sid\) does not boot here: ptrace.*\n.*trixie cannot be fetched: no route\n.*\(system\) does not/,
    );
  });

  it('is by age or name, each kernel once', async () => {
    const fakes = new Fakes();
    const all = (await fakes.kernels().oldestAndNewest()).map(nameOf);
    expect(all).toEqual(['system', 'sid']);
    expect((await fakes.kernels().all(['newest', 'sid', 'trixie'])).map(nameOf)).toEqual(['sid', 'trixie']);
    expect((await fakes.kernels().every()).map(nameOf)).toEqual(['system', 'trixie', 'sid']);
  });

  it('uses the kernels on this machine if no mirror answers, and asks once in a run', async () => {
    const fakes = new Fakes({}, ['trixie', 'sid']);
    expect((await fakes.kernels().oldestAndNewest()).map(nameOf)).toEqual(['system']);
    expect((await fakes.kernels().every()).map(nameOf)).toEqual(['system']);
    expect(fakes.said.join('\n')).toContain("the kernel of Debian's sid cannot be fetched: no route");
    await expect(fakes.kernels().get('sid')).rejects.toThrow(/sid cannot be fetched: no route/);
    expect(fakes.fetched).toEqual(['sid', 'trixie']);
    await fakes.kernels('2').get('newest');
    expect(fakes.fetched).toEqual(['sid', 'trixie', 'sid', 'trixie']);
  });

  it('is always the one that HOLDFAST_KERNEL names', async () => {
    const fakes = new Fakes();
    expect((await fakes.kernels('1', 'sid').oldestAndNewest()).map(nameOf)).toEqual(['sid']);
    expect(await fakes.kernels('1', 'trixie').get()).toMatchObject({ name: 'trixie' });
    await expect(fakes.kernels('1', 'buster').get()).rejects.toThrow(
      /HOLDFAST_KERNEL=buster: expected one of oldest/,
    );
  });

  it('is printed once in a run', async () => {
    const fakes = new Fakes();
    for (const run of ['1', '1', '2']) await fakes.kernels(run).get();
    const line = 'kernel client (default): Linux release of system (system)';
    expect(fakes.said).toEqual([line, line]);
  });

  it('probes a kernel again in the next run if its failure may be transient', async () => {
    const fakes = new Fakes({ system: { boots: false, why: 'not ready', lasting: false } });
    for (const run of ['1', '1', '2']) await fakes.kernels(run).get();
    expect(fakes.probed).toEqual(['system', 'trixie', 'system']);
  });

  it('is remembered for a processor', () => {
    const cpu = (flags: string) => `processor\t: 0\nmodel name\t: X\nflags\t\t: ${flags}\n\nprocessor\t: 1\n`;
    expect(machine(cpu('avx amx_tile'))).not.toBe(machine(cpu('avx')));
    expect(machine(`${cpu('avx')}cpu MHz\t\t: 1\n`)).toBe(machine(cpu('avx')));
  });
});

/** A folder like that of an unpacked kernel, with a script as the kernel's program. */
function scriptedKernel(script: string): Kernel {
  const modules = '/usr/lib/uml/modules';
  const root = join(folder, 'root');
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  completeRoot(root);
  const program = join(root, 'usr/bin/linux.uml');
  writeFileSync(program, `#!/bin/busybox sh\n${script}\n`);
  chmodSync(program, 0o755);
  return { name: 'scripted', release: readdirSync(modules).at(-1)!, modules, root };
}

describe('the trial of a kernel', () => {
  it('gives the reason of one that ends, as a lasting verdict', async () => {
    const kernel = scriptedKernel(
      'echo Linux; echo "ptrace set fp regs failed, errno = 14"; echo bye; exit 134',
    );
    expect(await probe(kernel)).toEqual({ ...amx });
  });

  it('does not wait for one that gives up and hangs', async () => {
    const kernel = scriptedKernel(
      'echo "init failed"; echo "ptrace set fp regs failed, errno = 14"; exec /bin/busybox sleep 1000',
    );
    expect(await probe(kernel)).toEqual(amx);
  });

  it('does not blame a kernel for a root that cannot be made', async () => {
    const kernel = scriptedKernel('echo ready >&3');
    rmSync(join(kernel.root!, 'proc'), { recursive: true });
    const { lasting, why } = await probe(kernel);
    expect(lasting).toBe(false);
    expect(why).toMatch(/proc/);
  });

  it('gives up on a silent one, but not as a lasting verdict', async () => {
    const verdict = await probe(scriptedKernel('exec /bin/busybox sleep 1000'), 300);
    expect(verdict).toEqual({ boots: false, why: 'not ready after 300 ms; it said nothing', lasting: false });
  });

  it('accepts one that is ready, in a separate root without the mounts of the system', async () => {
    const kernel = scriptedKernel(
      `cat /proc/mounts >/tmp/${basename(folder)}/mounts; echo ready >&3; read -r line <&3`,
    );
    expect(await probe(kernel)).toEqual({ boots: true, lasting: true });
    const mounts = readFileSync(join(folder, 'mounts'), 'utf8').trim().split('\n');
    expect(mounts.map((line) => line.split(' ')[1]!).filter((path) => !path.startsWith('/dev'))).toEqual([
      '/',
      '/proc',
      '/tmp',
    ]);
  });
});

/** A Debian archive of one suite with the packages that hold these files. */
function makeArchive(
  suite: string,
  packages: Readonly<Record<string, Readonly<Record<string, string>>>>,
): string {
  const archive = join(folder, 'archive');
  const dists = join(archive, `dists/${suite}`);
  mkdirSync(join(dists, 'main/binary-amd64'), { recursive: true });
  const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
  const index = Object.entries(packages).map(([name, files]) => {
    const tree = join(folder, name);
    const control = `Package: ${name}\nVersion: 9.9-1\nArchitecture: amd64\nMaintainer: x <x@example.org>\nDescription: x\n`;
    for (const [path, text] of Object.entries({ 'DEBIAN/control': control, ...files })) {
      mkdirSync(join(tree, path, '..'), { recursive: true });
      writeFileSync(join(tree, path), text);
    }
    const file = `${name}_9.9-1_amd64.deb`;
    execFileSync('dpkg-deb', ['--build', '--root-owner-group', tree, join(archive, file)]);
    const { length } = readFileSync(join(archive, file));
    return `${control}Filename: ${file}\nSize: ${length}\nSHA256: ${digest(join(archive, file))}\n`;
  });
  const list = 'main/binary-amd64/Packages';
  writeFileSync(join(dists, list), index.join('\n'));
  const sum = ` ${digest(join(dists, list))} ${readFileSync(join(dists, list)).length} ${list}\n`;
  const release = `Codename: ${suite}\nArchitectures: amd64\nComponents: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n${sum}`;
  writeFileSync(join(dists, 'Release'), release);
  return archive;
}

describe('fetching a kernel', () => {
  it('takes it from the first mirror that has it, unpacked and complete', async () => {
    const archive = makeArchive('later', {
      'user-mode-linux': {
        'usr/bin/linux.uml': 'x',
        'usr/lib/uml/modules/9.9.9/modules.order': '',
        'usr/share/doc/x': 'x',
      },
      libc6: { 'usr/lib64/ld.so': 'x' },
      'libgcc-s1': { 'usr/lib/libgcc.so': 'x' },
    });
    const kept = join(folder, 'kept');
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const options = { trusted: 'yes' };
    const mirrors = [empty, archive].map((path) => ({ uri: `file:${path}`, options }));
    expect(fetchedKernel('later', kept)).toBeUndefined();
    const kernel = await fetchKernel('later', mirrors, kept);
    const root = join(kept, 'later/9.9-1');
    expect(kernel).toEqual({
      name: 'later',
      release: '9.9.9',
      modules: join(root, 'usr/lib/uml/modules'),
      root,
    });
    expect(fetchedKernel('later', kept)).toEqual(kernel);
    expect(readFileSync(join(root, 'lib64/ld.so'), 'utf8')).toBe('x');
    expect(readdirSync(join(root, 'usr')).sort()).toEqual(['bin', 'lib', 'lib64']);
    // No temporary folder is left.
    expect(readdirSync(folder).filter((name) => name.startsWith('kept'))).toEqual(['kept']);
  });

  it('fails with what each mirror said', async () => {
    const mirrors = ['http://127.0.0.1:1/debian', `file:${folder}/nowhere`].map((uri) => ({
      uri,
      options: {},
    }));
    await expect(fetchKernel('sid', mirrors, join(folder, 'kept'))).rejects.toThrow(
      /^http:\/\/127\.0\.0\.1:1\/debian: .*; file:.*nowhere: ./,
    );
    await expect(fetchKernel('sid', [], join(folder, 'kept'))).rejects.toThrow(/name no mirror/);
  });
});
