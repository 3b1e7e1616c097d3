import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { environmentSettings } from '../config/index.ts';
import { commands } from './commands.ts';
import { main } from './index.ts';
import { nfsLines, smbLines } from './mount-lines.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
  mkdirSync(join(folder, 'media'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(argv: string[], env: NodeJS.ProcessEnv = {}) {
  let [out, err] = ['', ''];
  const terminal = {
    env,
    interactive: false,
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
  };
  return { code: await main(argv, env, terminal), out, err };
}

describe('holdfast', () => {
  it('says its version', async () => {
    const { code, out } = await run(['--version']);
    expect([code, out]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
  });

  it.each(['--help', '-h', 'help'])('%s names every command', async (argument) => {
    const { code, out } = await run([argument]);
    expect(code).toBe(0);
    for (const { name, summary } of commands) {
      expect(out).toContain(`  ${name} `);
      expect(out).toContain(summary);
    }
  });

  it('names every variable that it reads', async () => {
    const { out } = await run(['--help']);
    for (const variable of Object.keys(environmentSettings)) expect(out).toContain(variable);
  });

  it('gives the ports of the demo once', async () => {
    const { out } = await run(['demo', '--help']);
    expect(out).toContain('listen for NFS (default 0.0.0.0:12049)\n');
    expect(out).not.toContain('when not root');
  });

  it('shows its help and fails when it is told nothing', async () => {
    const { code, out, err } = await run([]);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('Usage: holdfast COMMAND');
  });

  it.each(commands.map(({ name }) => name))('%s --help names its flags', async (name) => {
    const { code, out } = await run([name, '--help']);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^Usage: holdfast ${name} `));
    for (const flag of commands.find((command) => command.name === name)!.flags)
      expect(out).toContain(`  --${flag.name}`);
    expect(await run(['help', name])).toEqual({ code: 0, out, err: '' });
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(115);
  });

  it.each([
    [['sevre', '/mnt/dfs'], 'holdfast: unknown command sevre; did you mean holdfast serve?'],
    [['/mnt/dfs'], 'holdfast: unknown command /mnt/dfs; did you mean holdfast serve /mnt/dfs?'],
    [
      ['zzzzzz'],
      'holdfast: unknown command zzzzzz; expected one of serve, run, demo, init, check, mount-options, mount, status, forget, doctor, bench',
    ],
    [
      ['--nfs', '0.0.0.0:1', 'serve'],
      'holdfast: unknown flag --nfs: the command comes first (serve, run, demo, init, check, mount-options, mount, status, forget, doctor, bench)',
    ],
    [
      ['serve', '/mnt/dfs', '--nsf', 'x'],
      'holdfast: unknown flag --nsf (did you mean --nfs?); see holdfast serve --help',
    ],
    [['serve', '-x'], 'holdfast: unknown flag -x; see holdfast serve --help'],
    [
      ['mount', '--server', '[::1]', '--at', '/mnt/dfs', '--interval', '0'],
      'holdfast: --interval: 0 is not a number of seconds from 0.5 to 3600',
    ],
    [
      ['mount', '--server', '[::1', '--at', '/mnt/dfs'],
      'holdfast: --server: [::1 is neither HOST nor HOST:PORT',
    ],
    [
      ['mount', '--server', 'gw', '--at', '/mnt/dfs', '--name', 'a b'],
      'holdfast: --name: "a b" is not the name of an export: a name of 1 to 80 letters, digits, ".", "_" and "-" that begins with a letter or digit',
    ],
    [
      ['mount', '--server', 'gw', '--at', '/mnt/dfs', '--protocol', 'smb', '--read-ahead', '4096'],
      'holdfast: --read-ahead needs --protocol nfs: for SMB use --options rasize=BYTES',
    ],
    [
      ['mount', '--server', 'gw', '--at', '/mnt/dfs', '--protocol', 'smb', '--credentials', '/not/there'],
      'holdfast: --credentials: /not/there does not exist',
    ],
    [['doctor', '--server', 'gw:port'], 'holdfast: --server: gw:port is neither HOST nor HOST:PORT'],
    [['bench', '/not/there'], 'holdfast: PATH: /not/there does not exist'],
    [['bench', '/etc/passwd'], 'holdfast: PATH: /etc/passwd is a file; expected a folder'],
    [
      ['bench', '--gateway', 'gw:2049', '--name', 'a/b'],
      expect.stringMatching(/^holdfast: --name: "a\/b" is not the name of an export/),
    ],
    [
      ['serve', '--expect-fuse'],
      'holdfast: unknown flag --expect-fuse (did you mean --no-expect-fuse?); see holdfast serve --help',
    ],
    [['serve', '--nfs'], 'holdfast: --nfs needs a value: --nfs HOST:PORT; see holdfast serve --help'],
    [
      ['serve', '--nfs', '--smb', 'x:1'],
      'holdfast: --nfs needs a value: --nfs HOST:PORT; see holdfast serve --help',
    ],
    [
      ['serve', '--no-expect-fuse=yes'],
      'holdfast: --no-expect-fuse takes no value; see holdfast serve --help',
    ],
    [['serve', '/a', '/b'], 'holdfast: unexpected argument "/b"; see holdfast serve --help'],
    [['serve', '--name', 'dfs'], 'holdfast: --name needs PATH: it names its export'],
    [['run', '/mnt/dfs', 'decypharr'], 'holdfast: unexpected argument "decypharr"; see holdfast run --help'],
    [['run', '/mnt/dfs'], 'holdfast: CMD is missing: it comes after --'],
    [['run', '/mnt/dfs', '--'], 'holdfast: CMD is missing: it comes after --'],
    [
      ['run', '/mnt/dfs', '--restart', 'often', '--', 'true'],
      'holdfast: --restart: often is not one of always, on-failure, never',
    ],
    [
      ['run', '/mnt/dfs', '--stop-timeout', '1h', '--', 'true'],
      'holdfast: --stop-timeout: 1h is not a number of seconds from 0 to 3600',
    ],
    [['check'], 'holdfast: FILE is missing; see holdfast check --help'],
    [['demo', '/mnt'], 'holdfast: unexpected argument "/mnt"; see holdfast demo --help'],
    [
      ['demo', '--nfs', 'x'],
      expect.stringMatching(/^--nfs: nfs\.listen: "x" is not allowed here; expected HOST:PORT/),
    ],
    [['serve'], expect.stringMatching(/^exports: missing; expected .*PATH on the command line$/)],
    [['serve', '/mnt/dfs', '--log-level', 'loud'], expect.stringMatching(/^--log-level: log\.level: "loud"/)],
    [
      ['serve', '/not/there'],
      expect.stringMatching(/^PATH: exports\.dfs\.path: \/not\/there does not exist/),
    ],
  ])('refuses %j with one line and exit code 2', async (argv, line) => {
    const { code, out, err } = await run(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err.split('\n')).toEqual([line, '']);
  });
});

const mount = (...argv: string[]) => run(['mount', '--server', 'gw', ...argv, '--admin', '127.0.0.1:0']);

it('says that holdfast mount needs root', async () => {
  const user = vi.spyOn(process, 'geteuid').mockReturnValue(1000);
  try {
    const { code, err } = await mount('--at', join(folder, 'mnt'));
    expect([code, err]).toEqual([
      1,
      'holdfast: holdfast mount needs root: start it with sudo, or as a service of the system\n',
    ]);
  } finally {
    user.mockRestore();
  }
});

describe.runIf(process.getuid?.() === 0)('holdfast mount', () => {
  it('refuses a file as the place of its mount', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const { code, err } = await mount('--at', file, '--netns', '/proc/self/ns/net');
    expect([code, err]).toEqual([2, `holdfast: --at: ${file} is a file; expected a folder\n`]);
  });

  it('refuses what is no namespace', async () => {
    const other = await mount('--at', join(folder, 'mnt'), '--netns', folder);
    expect([other.code, other.err]).toEqual([
      1,
      `holdfast: --netns: ${folder} is no namespace; expected a path such as /run/netns/NAME\n`,
    ]);
    const absent = await mount('--at', join(folder, 'mnt'), '--netns', '/run/netns/not-there');
    expect(absent.err).toMatch(
      /^holdfast: --netns: \/run\/netns\/not-there cannot be read \(ENOENT\): expected/,
    );
  });
});

describe('holdfast bench', () => {
  it('asks whether the gateway runs where nothing answers', async () => {
    // Port 1 (tcpmux): nothing listens there.
    const { code, err } = await run(['bench', '--gateway', '127.0.0.1:1']);
    expect(code).toBe(1);
    expect(err).toMatch(
      /^holdfast: no answer from 127\.0\.0\.1:1 \(.*ECONNREFUSED.*\): is the gateway running, /,
    );
  });
});

describe('holdfast doctor', () => {
  it('counts what it found, and says how to fix it', async () => {
    const { out } = await run(['doctor', join(folder, 'media')]);
    expect(out).toMatch(/\n {9}why: {2}\S.*\n {9}fix: {2}\S/);
    const [, problems, warnings] =
      /\n\n(\d+) problems?, (\d+) warnings?, \d+ checks? passed\n$/.exec(out) ?? [];
    expect([problems, warnings]).toEqual(
      [/^PROBLEM /gm, /^warning /gm].map((mark) => String(out.match(mark)?.length ?? 0)),
    );
  });
});

describe('holdfast check', () => {
  it('says what a file means', async () => {
    const file = join(folder, 'good.yaml');
    writeFileSync(
      file,
      'exports: { dfs: { path: media, nfs: { clients: [10.0.0.0/8], squash: all } } }\nnfs: { listen: "[::1]:7" }\n',
    );
    const { code, out, err } = await run(['check', file]);
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n')).toEqual([
      `${file} is valid`,
      `dfs (${join(folder, 'media')}) can be read, not changed, by NFS: 10.0.0.0/8, all as 65534:65534; SMB: anybody without a password, as 65534:65534, from loopback and private addresses`,
      expect.stringMatching(/^listens at NFS \[::1\]:7, SMB 0\.0\.0\.0:\d+, admin 127\.0\.0\.1:9445$/),
      '',
    ]);
  });

  it('says which mounts are expected, where links lead, and what run starts', async () => {
    const file = join(folder, 'mounts.yaml');
    const exports = {
      library: { path: 'media', mounts: ['torrents', 'a/b'], followSymlinks: { dfs: '/data/dfs' } },
      dfs: { path: 'media', followSymlinks: 'within' },
    };
    writeFileSync(file, JSON.stringify({ exports, run: [{ command: ['zurg'] }, { command: ['rclone'] }] }));
    const { out } = await run(['check', file]);
    const own = join(folder, 'media');
    for (const line of [
      'library expects mounts at torrents, a/b',
      `library follows links for SMB clients: within itself and into dfs (${own}, /data/dfs)`,
      'dfs follows links for SMB clients: within itself',
      'run starts zurg, then rclone',
    ])
      expect(out.split('\n')).toContain(line);
  });

  it('says what is wrong with one', async () => {
    const file = join(folder, 'bad.yaml');
    writeFileSync(file, 'exports: { dfs: { path: media, pth: 1 } }\nlogs: {}\n');
    const { code, err } = await run(['check', file]);
    expect(code).toBe(2);
    expect(err.split('\n')).toEqual([
      expect.stringContaining(`${file}:1:32: exports.dfs.pth: unknown key (did you mean path?)`),
      expect.stringContaining(`${file}:2:1: logs: unknown key (did you mean log?)`),
      '',
    ]);
  });
});

describe('holdfast mount-options', () => {
  it('works without folder and file', async () => {
    const argv = ['mount-options', '--host', 'gw.example', '--nfs', '0.0.0.0:12049', '--smb', '0.0.0.0:1445'];
    const { code, out } = await run(argv);
    expect(code).toBe(0);
    const nfs =
      'nfsvers=3,proto=tcp,port=12049,mountport=12049,mountproto=tcp,nolock,hard,acdirmin=1,acdirmax=5,nconnect=4,ro';
    const smb =
      'guest,hard,vers=3.1.1,echo_interval=10,actimeo=5,closetimeo=30,rsize=1048576,iocharset=utf8,port=1445,ro';
    for (const line of [
      `mount -t nfs -o ${nfs} gw.example:/dfs /mnt/dfs`,
      `gw.example:/dfs /mnt/dfs nfs ${nfs},_netdev,nofail 0 0`,
      `mount -t cifs -o ${smb} //gw.example/dfs /mnt/dfs`,
      `//gw.example/dfs /mnt/dfs cifs ${smb},_netdev,nofail 0 0`,
      '    - acdirmax=5',
      '    driver: smb.csi.k8s.io',
      '# closetimeo needs Linux 6.0 or newer: leave it out for older clients',
    ])
      expect(out.split('\n')).toContain(line);
  });

  it('takes what a file says', async () => {
    const file = join(folder, 'mounts.yaml');
    writeFileSync(
      file,
      'exports: { films: { path: /x, smb: { users: [{ name: a, passwordEnv: NOT_SET }] } } }',
    );
    const { code, out } = await run(['mount-options', '--host', 'fd00::1', '--at', '/mnt/my films'], {
      HOLDFAST_CONFIG: file,
    });
    expect(code).toBe(0);
    expect(out).toContain(" [fd00::1]:/films '/mnt/my films'\n");
    expect(out).toContain(
      '//fd00::1/films /mnt/my\\040films cifs credentials=/etc/holdfast/films.credentials,',
    );
    expect(out).toContain('nodeStageSecretRef');
  });

  it('names volumes as Kubernetes allows', () => {
    const target = { name: 'My_Films.2', host: 'h', port: 1, mountpoint: '/m' };
    expect(nfsLines(target).volume).toContain('\n  name: my-films-2-nfs\n');
    expect(smbLines(target, true).volume).toContain('\n  name: my-films-2-smb\n');
  });
});
