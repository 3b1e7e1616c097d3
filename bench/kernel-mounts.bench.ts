/**
 * `npm run bench:mounts`: compares mount options of the Linux kernel client (HOLDFAST_KERNEL selects the kernel). Each line uses a
 * separate mount and separate files. MOUNTS=cifs or MOUNTS=nfs measures one protocol only.
 *
 * - first byte: 4 KiB of each of 20 files that were not read before
 * - stream: one file of 64 MiB, from a tree whose reads take 5 ms; and four at once
 * - again: the same file 12 s after it was closed: the bytes that are fetched a second time
 * - scan: 64 KiB of head and tail of 60 files, and the same 3 s later: seconds, and the bytes fetched a second time
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FuseTree, MIB, releasePath } from '../test/kit/fuse.ts';
import { Gateway } from '../test/kit/gateway.ts';
import { kernelTitle } from '../test/kit/kernels.ts';
import { KernelClient } from '../test/kit/uml.ts';

const VIDEO = 64 * MIB;
const [STREAMS, FIRST, SCANNED] = [4, 20, 60];
const EACH = STREAMS + FIRST + SCANNED;
const LATENCY_MS = 5;
const AGAIN_S = 12;
const SCAN_AGAIN_S = 3;
const ports = { nfs: 12_049, smb: 1445 };

interface Line {
  readonly protocol: 'cifs' | 'nfs';
  readonly options: string;
  /** A setting of the mount's backing device, made after the mount. */
  readonly readAheadKb?: number;
}

const guest = 'guest,username=guest,hard,vers=3.1.1,echo_interval=10,iocharset=utf8,nosharesock,ro';
const user =
  'username=media,password=password,hard,vers=3.1.1,echo_interval=10,iocharset=utf8,nosharesock,ro';
const nfs = 'hard,acdirmin=1,acdirmax=5,nosharecache,ro';

const all: readonly Line[] = [
  { protocol: 'cifs', options: `${guest},actimeo=5` },
  { protocol: 'cifs', options: `${guest},actimeo=5,closetimeo=30` },
  { protocol: 'cifs', options: `${guest},actimeo=5,closetimeo=30,rasize=16777216` },
  { protocol: 'cifs', options: `${guest},actimeo=5,closetimeo=30,rsize=1048576` },
  { protocol: 'cifs', options: `${user},actimeo=5,closetimeo=30` },
  { protocol: 'cifs', options: `${user},actimeo=5,closetimeo=30,multichannel,max_channels=4` },
  { protocol: 'nfs', options: nfs },
  { protocol: 'nfs', options: `${nfs},nconnect=4` },
  { protocol: 'nfs', options: `${nfs},nconnect=4`, readAheadKb: 1024 },
  { protocol: 'nfs', options: `${nfs},nconnect=4`, readAheadKb: 8192 },
  { protocol: 'nfs', options: `${nfs},nconnect=4,rsize=131072`, readAheadKb: 8192 },
  { protocol: 'nfs', options: `${nfs},nconnect=4,acregmin=30,acregmax=60`, readAheadKb: 8192 },
];
const lines = all.filter(({ protocol }) => [undefined, '', protocol].includes(process.env['MOUNTS']));

let folder: string;
let fuse: FuseTree;
let client: KernelClient;
let gateway: Gateway;
const rows: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-kernel-mounts-'));
  [fuse, client] = await Promise.all([
    FuseTree.start({ releases: lines.length * EACH }),
    KernelClient.start({ memoryMib: 1536 }),
  ]);
  const config = join(folder, 'holdfast.yaml');
  writeFileSync(
    config,
    `exports:
  dfs: { path: ${fuse.mountpoint} }
  own: { path: ${fuse.mountpoint}, smb: { users: [{ name: media, passwordEnv: OWN_PASSWORD }] } }
smb: { listen: "0.0.0.0:${ports.smb}" }
nfs: { listen: "0.0.0.0:${ports.nfs}" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  const env = { OWN_PASSWORD: 'password' };
  gateway = await Gateway.start({ args: ['serve', '--config', config], env, netns: client.netns });
});

afterAll(async () => {
  await client.dispose();
  await gateway[Symbol.asyncDispose]();
  await fuse.dispose();
  rmSync(folder, { recursive: true, force: true });
  console.log(
    [
      `\nThe client: Linux ${kernelTitle(client.kernel)}\n`,
      '| mount | first byte | stream | four streams | again, fetched | scan, again | fetched |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      ...rows,
      '',
    ].join('\n'),
  );
});

/** Hundredths of a second of the guest's clock, and bytes received. */
const MARK = `$(cut -d' ' -f1 /proc/uptime) $(cat /sys/class/net/vec0/statistics/rx_bytes)`;

/** Runs a command in the guest. Returns its seconds and the bytes received over the network. */
async function measure(script: string): Promise<{ seconds: number; bytes: number }> {
  const text = await client.output(
    `a="${MARK}"; { ${script}; } >/dev/null 2>&1; echo "$a" "${MARK}"`,
    240_000,
  );
  const [begun, before, ended, after] = text.trim().split(' ').map(Number);
  return { seconds: ended! - begun!, bytes: after! - before! };
}

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(0)} %`;
const rate = (bytes: number, seconds: number): string => `${(bytes / MIB / seconds).toFixed(0)} MiB/s`;

async function mount({ protocol, options, readAheadKb }: Line): Promise<void> {
  const mountpoint = '/mnt/m';
  if (protocol === 'nfs') await client.mountNfs({ port: ports.nfs, export: '/dfs', mountpoint, options });
  else {
    const share = options.includes('guest') ? 'dfs' : 'own';
    await client.mountCifs({ port: ports.smb, share, mountpoint, options });
  }
  if (readAheadKb !== undefined)
    await client.output(
      `echo ${readAheadKb} > /sys/class/bdi/$(awk '$5 == "${mountpoint}" {print $3}' /proc/self/mountinfo)/read_ahead_kb`,
    );
}

it.each(lines.map((line, index) => [line.options, line, index] as const))(
  '%s',
  async (_, line, index) => {
    await fuse.setLatency({});
    await mount(line);
    let next = index * EACH;
    const files = (count: number) =>
      Array.from({ length: count }, () => `/mnt/m${releasePath(next++, 'video.mkv')}`);
    const first = await measure(
      files(FIRST)
        .map((path) => `head -c 4096 ${path}`)
        .join('; '),
    );
    await fuse.setLatency({ read: LATENCY_MS });
    const [film, ...others] = files(STREAMS);
    const stream = await measure(`dd if=${film!} bs=1M`);
    const closed = Date.now();
    const four = await measure(
      `${[...others, files(1)[0]!].map((path) => `dd if=${path} bs=1M & `).join('')} wait`,
    );
    const scanned = files(SCANNED - 1);
    const ends = scanned.map((path) => `head -c 65536 ${path}; tail -c 65536 ${path}`).join('; ');
    const scan = await measure(ends);
    await client.output(`sleep ${SCAN_AGAIN_S}`);
    const scanAgain = await measure(ends);
    await client.output(`sleep ${Math.max(0, AGAIN_S - Math.round((Date.now() - closed) / 1000))}`);
    const again = await measure(`dd if=${film!} bs=1M`);
    expect(stream.bytes).toBeGreaterThan(VIDEO);
    const ahead = line.readAheadKb === undefined ? '' : `, read_ahead_kb ${line.readAheadKb}`;
    rows.push(
      `| ${line.protocol} ${line.options}${ahead} | ${((1000 * first.seconds) / FIRST).toFixed(0)} ms ` +
        `| ${rate(VIDEO, stream.seconds)} | ${rate(4 * VIDEO, four.seconds)} | ${percent(again.bytes, VIDEO)} ` +
        `| ${scan.seconds.toFixed(1)}, ${scanAgain.seconds.toFixed(1)} s | ${percent(scanAgain.bytes, scan.bytes)} |`,
    );
    if (line.protocol === 'cifs') await client.umountCifs('/mnt/m');
    else await client.output('umount /mnt/m');
    await client.output('echo 3 > /proc/sys/vm/drop_caches');
  },
  240_000,
);
