/** `holdfast doctor` on this machine with prepared faults: it must report each one and the command that fixes it. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FuseTree } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

interface Finding {
  readonly level: string;
  readonly what: string;
  readonly why?: string;
  readonly fix?: string;
}

let folder: string;
const cleanUp: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-doctor-'));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** Runs the doctor from a shell that first sets a limit, as a bad unit file would. */
function doctor(limit: string, ...args: string[]): Promise<{ code: number; findings: Finding[] }> {
  const command = `${limit} exec "$@"`;
  const line = ['-c', command, 'sh', process.execPath, main, 'doctor', '--json', ...args];
  return new Promise((resolve) =>
    execFile('/bin/sh', line, (error, stdout) => {
      resolve({ code: Number(error?.code ?? 0), findings: JSON.parse(stdout) as Finding[] });
    }),
  );
}

const bad = (findings: readonly Finding[]) => findings.filter(({ level }) => level !== 'ok');

it('finds six faults at once, each with its fix', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  cleanUp.push(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const empty = join(folder, 'dfs');
  mkdirSync(empty);
  const config = join(folder, 'holdfast.yaml');
  writeFileSync(
    config,
    `exports: { dfs: { path: ${empty} } }
nfs: { listen: "127.0.0.1:${port}" }
smb: { listen: "127.0.0.1:0" }
admin: { listen: "0.0.0.0:0" }
`,
  );
  const { code, findings } = await doctor('ulimit -n 512;', '--config', config);
  expect(code).toBe(1);
  const found = bad(findings);
  for (const what of [
    /no FUSE filesystem is mounted at/,
    /512 descriptors may be open/,
    new RegExp(`nothing can listen at 127.0.0.1:${port} \\(EADDRINUSE\\)`),
    /neither a secret, nor `identity`, nor `state`/,
    /guests may read dfs by SMB/,
    /the admin port listens at 0\.0\.0\.0 without a token/,
  ])
    expect(found.filter((one) => what.test(one.what))).toEqual([
      expect.objectContaining({ why: expect.any(String) as string, fix: expect.any(String) as string }),
    ]);
});

it('sees a FUSE mount, and does not touch one that hangs', async () => {
  const tree = await FuseTree.start({ releases: 1 });
  cleanUp.push(() => tree.dispose());
  await tree.hang();
  const { findings } = await doctor('', tree.mountpoint);
  expect(findings.filter(({ what }) => what.includes(tree.mountpoint))).not.toEqual([]);
  expect(findings.some(({ what }) => /no FUSE filesystem/.test(what))).toBe(false);
  await tree.heal();
});

it('tells the gateway of a configuration from another one with an export of that name', async () => {
  const configure = (name: string, ports: readonly number[]) => {
    const [nfs, smb, admin] = ports;
    mkdirSync(join(folder, name), { recursive: true });
    const file = join(folder, `${name}.yaml`);
    writeFileSync(
      file,
      `exports: { dfs: { path: ${name}, expectFuse: false } }
nfs: { listen: "127.0.0.1:${nfs}" }
smb: { listen: "127.0.0.1:${smb}" }
admin: { listen: "127.0.0.1:${admin}" }
`,
    );
    return file;
  };
  const protocols = ['nfs', 'smb', 'admin'];
  await using gateway = await Gateway.start({
    args: ['serve', '--config', configure('own', [0, 0, 0])],
    protocols,
  });
  const ports = protocols.map((protocol) => gateway.port(protocol));
  const isRunning = async (file: string) => {
    const { findings } = await doctor('', '--config', file);
    return findings.some(({ what }) => what === 'a gateway with this configuration is running');
  };
  expect(await isRunning(configure('own', ports))).toBe(true);
  expect(await isRunning(configure('other', ports))).toBe(false);
  expect(await isRunning(configure('own', [ports[0]!, ports[1]! + 1, ports[2]!]))).toBe(false);
});

it('looks at this machine as a client', async () => {
  const { code, findings } = await doctor('', '--server', '127.0.0.1');
  expect(findings.some(({ what }) => /^kernel \d/.test(what))).toBe(true);
  const unreachable = findings.filter(({ what }) => /127\.0\.0\.1 does not accept connections/.test(what));
  expect(code).toBe(unreachable.length > 0 ? 1 : 0);
});
