import { afterEach, describe, expect, it } from 'vitest';

import { FileType, MountError, type MountBackend } from '../backend.ts';
import { RpcClient } from '../rpc/client.ts';
import { RpcServer } from '../rpc/server.ts';
import { MountStatus } from '../status.ts';
import { MemoryBackend } from '../testing/memory-backend.ts';
import { type Codec, decodeOne, encodeOne, nothing } from '../xdr/codec.ts';
import { MountList } from './list.ts';
import { MOUNT_PROGRAM, MOUNT_VERSION, mountProgram } from './program.ts';
import { directoryPath, exportList, mountList, mountResult } from './wire.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function open(backend: MountBackend, bug = (_error: unknown): void => undefined): Promise<RpcClient> {
  const server = new RpcServer({ hooks: { bug } }).add(mountProgram(backend));
  const { port } = await server.listenTcp({ host: '127.0.0.1', port: 0 });
  const client = await RpcClient.open({
    host: '127.0.0.1',
    port,
    program: MOUNT_PROGRAM,
    version: MOUNT_VERSION,
  });
  stops.push(
    () => client.close(),
    () => server.close({ timeoutMs: 100 }),
  );
  return client;
}

function golden<T>(codec: Codec<T>, value: T, hex: string): void {
  const wire = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
  expect(encodeOne(codec, value).toString('hex')).toBe(wire.toString('hex'));
  expect(decodeOne(codec, wire)).toEqual(value);
}

describe('MOUNT v3 (RFC 1813 §5)', () => {
  it('structures', () => {
    golden(
      mountResult,
      { status: 0, handle: Buffer.from('0a0b0c0d', 'hex'), flavors: [1] },
      '00000000 00000004 0a0b0c0d 00000001 00000001',
    );
    golden(mountResult, { status: 13 }, '0000000d');
    golden(
      mountList,
      [{ hostname: 'h', directory: '/d' }],
      '00000001 00000001 68000000 00000002 2f640000 00000000',
    );
    golden(
      exportList,
      [{ path: '/d', groups: ['*', 'g'] }],
      `00000001 00000002 2f640000 00000001 00000001 2a000000 00000001 00000001 67000000 00000000 00000000`,
    );
  });

  it('MNT of an export and of a directory below it; DUMP, UMNT, UMNTALL, EXPORT', async () => {
    const backend = new MemoryBackend();
    const below = backend.add(backend.root, 'below', FileType.directory);
    const client = await open(backend);
    const mnt = (path: string) => client.call(1, directoryPath, path, mountResult);
    const handle = backend.handle(backend.root);
    expect(await mnt('/export')).toEqual({ status: 0, handle, flavors: [1] });
    expect(await mnt('/export/below')).toEqual({ status: 0, handle: backend.handle(below), flavors: [1] });
    expect(await mnt('/other')).toEqual({ status: MountStatus.NOENT });
    expect(await mnt(`/export/${'x'.repeat(1024)}`)).toEqual({ status: MountStatus.NAMETOOLONG });
    expect(await mnt('/export\0')).toEqual({ status: MountStatus.INVAL });

    const dump = () => client.call(2, nothing, {}, mountList);
    const hostname = '127.0.0.1';
    expect(await dump()).toEqual([
      { hostname, directory: '/export' },
      { hostname, directory: '/export/below' },
    ]);
    await client.call(3, directoryPath, '/export', nothing);
    expect(await dump()).toEqual([{ hostname, directory: '/export/below' }]);
    await client.call(4, nothing, {}, nothing);
    expect(await dump()).toEqual([]);
    expect(await client.call(5, nothing, {}, exportList)).toEqual(backend.exports());
  });

  it('tells refusals from bugs', async () => {
    const bugs: unknown[] = [];
    const odd = new Error('odd');
    let thrown: Error = new MountError(MountStatus.ACCES);
    const mount = (): never => {
      throw thrown;
    };
    const client = await open({ exports: () => [], mount }, (error) => bugs.push(error));
    expect(await client.call(1, directoryPath, '/x', mountResult)).toEqual({ status: MountStatus.ACCES });
    thrown = odd;
    expect(await client.call(1, directoryPath, '/x', mountResult)).toEqual({
      status: MountStatus.SERVERFAULT,
    });
    expect(bugs).toEqual([odd]);
  });

  it('remembers a bounded number of mounts, the latest ones', () => {
    const list = new MountList();
    for (let index = 0; index < 100; index++) list.add('a', `/${index}`);
    expect(list.entries()).toHaveLength(64);
    expect(list.entries().at(-1)).toEqual({ hostname: 'a', directory: '/99' });
    for (let index = 0; index < 2000; index++) list.add(`host${index}`, '/');
    expect(list.entries()).toHaveLength(1024);
    list.remove('host1999', '/');
    expect(list.entries()).toHaveLength(1023);
  });
});
