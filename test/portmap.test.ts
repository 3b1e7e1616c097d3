/** A kernel client without ports or transports in its options finds them by portmap. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AcceptStatus, replyMessage } from '../protocols/nfs-rpc/src/rpc/message.ts';
import { callRecord } from '../protocols/nfs-rpc/src/testing/harness.ts';
import { XdrReader } from '../protocols/nfs-rpc/src/xdr/reader.ts';
import { Gateway } from './kit/gateway.ts';
import { outcome } from './kit/smb.ts';
import { GUEST_ADDRESS, HOST_ADDRESS, KernelClient } from './kit/uml.ts';

let folder: string;
let client: KernelClient;
let gateway: Gateway;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-portmap-'));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'file'), 'content');
  client = await KernelClient.start();
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    `exports: { dfs: { path: ${folder}, expectFuse: false, clients: [${GUEST_ADDRESS}, ${HOST_ADDRESS}] } }
nfs: { listen: "0.0.0.0:12049" }
smb: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  gateway = await Gateway.start({ args: ['serve', '--config', config], netns: client.netns });
});
afterAll(async () => {
  await gateway.stop();
  await client.dispose();
  rmSync(folder, { recursive: true });
});

/** mount.nfs would add `addr`; the kernel finds the rest by itself. */
const mount = (options: string) =>
  `mkdir -p /m && mount -t nfs ${HOST_ADDRESS}:/dfs /m -o vers=3,nolock,addr=${HOST_ADDRESS}${options}`;

it.each(['', ',mountproto=udp', ',port=12049', ',port=12049,mountport=12049,mountproto=udp'])(
  'mounts with no more than "%s"',
  async (options) => {
    expect(await client.output(`${mount(options)} && cat /m/file && umount /m`, 15_000)).toBe('content');
  },
);

/** Sends a call, given in hexadecimal, over UDP and prints the answer. */
const ask = `
  const [port, call] = process.argv.slice(1);
  const socket = require('dgram').createSocket('udp4');
  socket.on('message', (answer) => { console.log(answer.toString('hex')); socket.close(); });
  socket.send(Buffer.from(call, 'hex'), Number(port), '${HOST_ADDRESS}');
`;

it.each([
  [12049, 100005, AcceptStatus.SUCCESS],
  [12049, 100003, AcceptStatus.PROG_UNAVAIL],
  [111, 100003, AcceptStatus.PROG_UNAVAIL],
])('at UDP port %d, program %d is answered %d', async (port, program, expected) => {
  const [nsenter, namespace] = client.enter;
  const call = callRecord({ program, version: 3, procedure: 0 }).toString('hex');
  const { stdout } = await outcome(nsenter, [namespace, process.execPath, '-e', ask, String(port), call]);
  const answer = replyMessage.decode(new XdrReader(Buffer.from(stdout.trim(), 'hex')));
  expect(answer.body).toMatchObject({ accepted: { acceptStatus: expected } });
});

it('fails at once if NFS itself is requested over UDP', async () => {
  const { code } = await client.run(mount(',proto=udp'), 15_000);
  expect(code).not.toBe(0);
});

it('goes on without port 111 where another program has it', async () => {
  const config = join(folder, 'second.yaml');
  writeFileSync(
    config,
    `exports: { dfs: { path: ${folder}, expectFuse: false } }
nfs: { listen: "0.0.0.0:12050" }
smb: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  const second = await Gateway.start({ args: ['serve', '--config', config], netns: client.netns });
  const line = await second.whenLogged(({ msg }) =>
    String(msg).startsWith('Port 111 is in use or not allowed'),
  );
  expect(line['code']).toBe('EADDRINUSE');
  expect(await second.stop()).toBe(0);
});
