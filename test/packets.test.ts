/** tshark checks whole sessions of real clients: it must find nothing malformed and nothing outside the specification. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FuseTree, MIB, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { listShares, outcome, rpcclient, smbclient } from './kit/smb.ts';
import { KernelClient } from './kit/uml.ts';

const run = promisify(execFile);
const RELEASES = 120;
/** The registered ports. On others tshark reads the length of an SMB message as NetBIOS's, which has 17 bits. */
const SMB_PORT = 445;
const NFS_PORT = 2049;
/** PI_ERROR of Wireshark's expert information. */
const SEVERITY_ERROR = 0x800000;
/** TCP analysis is ignored: a busy capture reorders segments, which says nothing about the gateway's frames. */
const problems = `_ws.malformed || (_ws.expert.severity >= ${SEVERITY_ERROR} && !tcp.analysis.flags)`;
/** tshark decodes RFC 4178 only; every SMB server sends NegTokenInit2, which has negHints there ([MS-SPNG] 2.2.1). */
const negHints =
  /Negotiate Protocol Response\tBER Error: OctetString expected but class:UNIVERSAL\(0\) Constructed tag:16 was unexpected$/;

let fuse: FuseTree;
let client: KernelClient;
let gateway: Gateway;
let folder: string;

/** Records the traffic of the gateway's ports on one interface of the client's network. */
class Capture {
  readonly #file: string;
  readonly #process: ChildProcess;

  private constructor(file: string, process: ChildProcess) {
    this.#file = file;
    this.#process = process;
  }

  static async start(device: 'lo' | 'uml0', name: string): Promise<Capture> {
    const file = join(folder, `${name}.pcapng`);
    const filter = `tcp port ${SMB_PORT} or tcp port ${NFS_PORT}`;
    const [command, ...args] = [
      ...client.enter,
      'dumpcap',
      '-B',
      '64',
      '-i',
      device,
      '-f',
      filter,
      '-w',
      file,
    ];
    const recorder = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const capture = new Capture(file, recorder);
    // dumpcap prints the file's name once it captures.
    for await (const line of createInterface({ input: recorder.stderr })) {
      if (line.startsWith('File:')) return capture;
    }
    throw new Error('dumpcap has ended');
  }

  async stop(): Promise<void> {
    // The kernel delivers packets in blocks: wait for the last one.
    await new Promise((resolve) => setTimeout(resolve, 400));
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGINT');
    await gone;
  }

  /** The value of a field in every frame that has it. */
  async field(name: string): Promise<string[]> {
    const text = await this.#tshark('-Y', name, '-T', 'fields', '-E', 'aggregator=,', '-e', name);
    return text.split(/[\n,]/).filter((value) => value !== '');
  }

  /** One line for each frame that tshark objects to. */
  async problems(): Promise<string[]> {
    const columns = ['frame.number', '_ws.col.Protocol', '_ws.col.Info', '_ws.expert.message'];
    const fields = columns.flatMap((name) => ['-e', name]);
    const text = await this.#tshark('-Y', problems, '-T', 'fields', ...fields);
    return text.split('\n').filter((line) => line !== '' && !negHints.test(line));
  }

  async #tshark(...args: string[]): Promise<string> {
    // libnfs uses a privileged source port, which tshark may assign to another protocol.
    const ports = ['-d', 'tcp.port==512-1023,rpc'];
    const { stdout } = await run('tshark', ['-n', '-r', this.#file, ...ports, ...args], {
      maxBuffer: 64 * MIB,
    });
    return stdout;
  }
}

/** Runs `session` under a capture and fails if tshark finds problems. Returns the capture for further checks. */
async function judged(device: 'lo' | 'uml0', name: string, session: () => Promise<void>): Promise<Capture> {
  const capture = await Capture.start(device, name);
  try {
    await session();
  } finally {
    await capture.stop();
  }
  expect(await capture.problems()).toEqual([]);
  return capture;
}

const inside = (...command: string[]) => outcome(client.enter[0], [client.enter[1], ...command]);
const onWire = (path: string) => path.slice(1).replaceAll('/', '\\');
const numbers = async (capture: Capture, field: string) =>
  new Set((await capture.field(field)).map((value) => Number(value)));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-packets-'));
  mkdirSync(join(folder, 'mget'));
  [fuse, client] = await Promise.all([
    FuseTree.start({
      releases: RELEASES,
      files: [
        { name: 'video.mkv', size: 3 * MIB },
        { name: 'video.en.srt', size: 48_321 },
      ],
      extra: [{ type: 'symlink', path: '/latest', target: '__all__' }],
    }),
    KernelClient.start(),
  ]);
  const [smb, nfs, admin] = [`0.0.0.0:${SMB_PORT}`, `0.0.0.0:${NFS_PORT}`, '127.0.0.1:0'];
  const args = ['serve', fuse.mountpoint, '--name', 'dfs', '--smb', smb, '--nfs', nfs, '--admin', admin];
  gateway = await Gateway.start({ args, netns: client.netns });
}, 60_000);

afterAll(async () => {
  await client.dispose();
  await gateway[Symbol.asyncDispose]();
  await fuse.dispose();
  rmSync(folder, { recursive: true });
});

describe('tshark finds nothing wrong with', () => {
  // NEGOTIATE, SESSION_SETUP, TREE_CONNECT, CREATE, CLOSE, READ, IOCTL, QUERY_DIRECTORY, QUERY_INFO
  const everySession = [0, 1, 3, 5, 6, 8, 11, 14, 16];
  const dialects = ['SMB2_02', 'SMB2_10', 'SMB3_00', 'SMB3_02', 'SMB3_11'];
  const smb = { port: SMB_PORT, share: 'dfs', user: 'whoever%whatever' };

  it.each(dialects)('smbclient and %s', async (dialect) => {
    const target = { ...smb, enter: client.enter };
    const capture = await judged('lo', dialect, async () => {
      const options = [`--max-protocol=${dialect}`];
      const command = [
        'ls',
        'ls __all__\\*',
        `get ${onWire(releasePath(1, 'video.mkv'))} /dev/null`,
        `allinfo ${onWire(releasePath(1, 'video.en.srt'))}`,
        'allinfo latest',
        'allinfo missing',
        'volume',
        'du',
        'mkdir refused',
        'rm version.txt',
        'rename version.txt refused',
        `cd __all__; recurse; prompt; mget *0000${dialects.indexOf(dialect)}*`,
      ].join('; ');
      const { text } = await smbclient({ ...target, options, command, folder: join(folder, 'mget') });
      expect(text).toContain('version.txt');
      expect((await listShares(target)).stdout).toContain('Disk|dfs');
      const rpc = 'srvinfo; netshareenumall; netsharegetinfo dfs';
      expect((await rpcclient({ ...target, user: '%', command: rpc })).text).toContain('netname: dfs');
    });
    expect([...(await numbers(capture, 'smb2.cmd'))]).toEqual(expect.arrayContaining(everySession));
    expect((await capture.field('dcerpc.opnum')).length).toBeGreaterThan(0);
  });

  it('the kernel’s cifs client', async () => {
    const capture = await judged('uml0', 'cifs', async () => {
      for (const version of ['2.1', '3.0', '3.1.1', '3.1.1,posix']) {
        const options = `guest,username=guest,vers=${version}`;
        await client.mountCifs({ port: SMB_PORT, share: 'dfs', mountpoint: '/mnt/c', options });
        await client.output(
          `ls -l /mnt/c /mnt/c/__all__ /mnt/c${releasePath(2)} > /dev/null; cat /mnt/c${releasePath(2)}/* > /dev/null; df /mnt/c; readlink /mnt/c/latest
           ! touch /mnt/c/refused || exit 1; stat /mnt/c/missing; umount /mnt/c`,
        );
      }
    });
    const cifs = everySession.concat(4);
    expect([...(await numbers(capture, 'smb2.cmd'))]).toEqual(expect.arrayContaining(cifs));
  });

  it('libnfs’s tools', async () => {
    const url = (path: string) =>
      `nfs://127.0.0.1/dfs${path}?version=3&nfsport=${NFS_PORT}&mountport=${NFS_PORT}`;
    const capture = await judged('lo', 'libnfs', async () => {
      for (const command of [
        ['nfs-ls', url('/__all__')],
        ['nfs-cp', url(releasePath(1, 'video.mkv')), join(folder, 'copy')],
        ['nfs-cat', url(releasePath(1, 'video.en.srt'))],
      ]) {
        const { code, text } = await inside(...command);
        expect(code, text).toBe(0);
      }
      expect((await inside('nfs-ls', url('/missing'))).code).not.toBe(0);
    });
    // GETATTR, LOOKUP, READ, READDIRPLUS, FSINFO
    expect([...(await numbers(capture, 'nfs.procedure_v3'))]).toEqual(
      expect.arrayContaining([1, 3, 6, 17, 19]),
    );
  });

  it('the kernel’s NFS client', async () => {
    const capture = await judged('uml0', 'nfs', async () => {
      await client.mountNfs({ port: NFS_PORT, export: '/dfs', mountpoint: '/mnt/n' });
      await client.output(
        `ls -l /mnt/n /mnt/n/__all__ /mnt/n${releasePath(2)} > /dev/null; cat /mnt/n${releasePath(2)}/* > /dev/null; df /mnt/n; readlink /mnt/n/latest
         ! touch /mnt/n/refused || exit 1; stat /mnt/n/missing; umount /mnt/n`,
      );
    });
    // GETATTR, LOOKUP, ACCESS, READLINK, READ, READDIRPLUS, FSSTAT, FSINFO, PATHCONF
    expect([...(await numbers(capture, 'nfs.procedure_v3'))]).toEqual(
      expect.arrayContaining([1, 3, 4, 5, 6, 17, 18, 19, 20]),
    );
  });
});
