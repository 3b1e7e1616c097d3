import { afterEach, expect, it } from 'vitest';
import { MemoryShare } from '../../memory/memory-share.ts';
import { StatusError } from '../../errors.ts';
import { openPath, pathOfId, TestKit } from '../../testing/kit.ts';
import type { RawClient } from '../../testing/raw-client.ts';
import { Access, Command, HEADER_SIZE } from '../../wire/constants.ts';
import { queryDirectoryRequest } from '../../wire/query.ts';
import { Status } from '../../wire/status.ts';

const kit = new TestKit();
afterEach(() => kit.end());

/**
 * The AAPL context of macOS's first CREATE: asks for server and volume capabilities and the model, and sends its own
 * capabilities.
 */
function appleRequest(clientCaps: number): Buffer {
  const data = Buffer.alloc(24);
  data.writeUInt32LE(1, 0);
  data.writeUInt32LE(7, 8);
  data.writeUInt32LE(clientCaps, 16);
  return data;
}

/** The entry of `film.mkv` in FileIdBothDirectoryInformation. */
async function entryOf(client: RawClient, clientCaps: number): Promise<Buffer> {
  const contexts = [{ name: 'AAPL', data: appleRequest(clientCaps) }];
  const fileId = await openPath(client, '', contexts, { desiredAccess: 0x81 });
  const pattern = Buffer.from('film.mkv', 'utf16le');
  const body = queryDirectoryRequest.toBuffer(
    {
      informationClass: 37,
      flags: 0,
      fileIndex: 0,
      fileId,
      nameOffset: HEADER_SIZE + queryDirectoryRequest.size,
      nameLength: pattern.length,
      outputBufferLength: 4096,
    },
    pattern,
  );
  const reply = await client.request(Command.QUERY_DIRECTORY, body);
  return reply!.packet.subarray(72);
}

it('Finder gets rights and mode of each entry, whoever does not ask for them does not', async () => {
  const share = new MemoryShare({ readOnly: true });
  const { id } = share.putFile('film.mkv', 'film').attributes();
  await kit.serve(share);
  const plain = await entryOf(await kit.guest(), 0);
  expect([plain.readUInt32LE(64), plain.readUInt16LE(94)]).toEqual([0, 0]);
  const finder = await entryOf(await kit.guest(), 1);
  expect([finder.readUInt32LE(64), finder.readUInt16LE(94)]).toEqual([Access.READ_ONLY, 0o100666]);
  // No resource fork, no Finder info.
  expect(finder.subarray(68, 94).equals(Buffer.alloc(26))).toBe(true);
  expect(finder.readBigUInt64LE(96)).toBe(id);
});

it('tells the path of an id, in the characters of the wire', async () => {
  const share = new MemoryShare();
  const { id } = share.putFile('films/Who? (2024)/film.mkv', 'film').attributes();
  await kit.serve(share);
  const client = await kit.guest();
  expect(await pathOfId(client, id)).toEqual([Status.SUCCESS, 'films\\Who\uf025 (2024)\\film.mkv']);
  expect(await pathOfId(client, share.root.id)).toEqual([Status.SUCCESS, '']);
  await openPath(client, 'films\\Who\uf025 (2024)\\film.mkv', [], {
    desiredAccess: 0x10000,
    options: 0x1000,
  });
  const left = await kit.guest();
  expect(await pathOfId(left, id)).toEqual([Status.SUCCESS, 'films\\Who\uf025 (2024)\\film.mkv']);
  client.close();
  await expect.poll(() => pathOfId(left, id)).toEqual([Status.OBJECT_NAME_NOT_FOUND, '']);
  expect(await pathOfId(left, 2n ** 64n - 1n)).toEqual([Status.OBJECT_NAME_NOT_FOUND, '']);
});

it('does not tell the path of what the caller could not get to', async () => {
  const share: MemoryShare = new MemoryShare({
    readOnly: true,
    delay: (operation, node) =>
      operation === 'lookup' && node !== share.root
        ? Promise.reject(new StatusError(Status.ACCESS_DENIED))
        : undefined,
  });
  const { id } = share.putFile('closed/film.mkv', 'film').attributes();
  await kit.serve(share);
  expect(await pathOfId(await kit.guest(), id)).toEqual([Status.ACCESS_DENIED, '']);
});
