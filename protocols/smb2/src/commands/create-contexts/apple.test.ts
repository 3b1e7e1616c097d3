import { afterEach, expect, it } from 'vitest';
import { MemoryShare } from '../../memory/memory-share.ts';
import { openPath, TestKit } from '../../testing/kit.ts';
import type { RawClient } from '../../testing/raw-client.ts';
import { Access, Command, HEADER_SIZE } from '../../wire/constants.ts';
import { queryDirectoryRequest } from '../../wire/query.ts';

const kit = new TestKit();
afterEach(() => kit.end());

/** What macOS sends with its first CREATE: asks for server and volume capabilities and the model, and tells its own. */
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
