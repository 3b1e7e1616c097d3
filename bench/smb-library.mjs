/**
 * Measures the SMB library alone: without source and tree, with one raw client in the same process.
 *
 *   npm run build && node bench/smb-library.mjs [DIST]      (default: protocols/smb2/dist of this checkout)
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RawClient } from '../protocols/smb2/dist/testing/raw-client.js';

const { Buffer, performance } = globalThis;
const own = new URL('../protocols/smb2/dist/', import.meta.url);
const dist = process.argv[2] ? pathToFileURL(`${resolve(process.argv[2])}/`) : own;
const { SmbServer, MemoryShare } = await import(new URL('index.js', dist).href);
const ENTRIES = 20_000;
const [CREATE, READ, QUERY_DIRECTORY] = [5, 8, 14];

const share = new MemoryShare({ readOnly: true });
share.putFile('film.mkv', Buffer.alloc(2 ** 20, 'x'));
for (let index = 0; index < ENTRIES; index++)
  share.putFile(`many/Some.Release.${String(index).padStart(5, '0')}.2024.1080p.WEB.mkv`, '');
// Cache listings, so that the backend's time does not count.
const list = share.list.bind(share);
const listings = new Map();
share.list = (directory, call) => {
  const known = listings.get(directory);
  if (known) return known;
  const listing = list(directory, call);
  listing.load(0, listing.length);
  const ready = {
    length: listing.length,
    nameAt: (index) => listing.nameAt(index),
    placeAt: (index) => listing.placeAt(index),
    indexAfter: (place) => listing.indexAfter(place),
    load: () => undefined,
    nodeAt: (index) => listing.nodeAt(index),
    attributesAt: (index) => listing.attributesAt(index),
  };
  listings.set(directory, ready);
  return ready;
};

const server = new SmbServer({
  serverGuid: Buffer.alloc(16, 1),
  serverName: 'BENCH',
  shares: [{ name: 'share', backend: share, guest: true }],
});
const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
const client = await RawClient.connect(port);
await client.enter('share');

async function open(path, desiredAccess) {
  const reply = await client.request(CREATE, client.createBody(path, [], { desiredAccess }));
  return reply.packet.subarray(128, 144);
}

function listBody(fileId, restarts) {
  const body = Buffer.alloc(34);
  body.writeUInt16LE(33, 0);
  body[2] = 37;
  body[3] = restarts ? 1 : 0;
  fileId.copy(body, 8);
  body.writeUInt16LE(96, 24);
  body.writeUInt16LE(2, 26);
  body.writeUInt32LE(65_536, 28);
  body.write('*', 32, 'utf16le');
  return body;
}

async function listAll(fileId) {
  for (let restarts = true; ; restarts = false) {
    const { status } = await client.request(QUERY_DIRECTORY, listBody(fileId, restarts));
    if (status !== 0) return;
  }
}

async function readAll(fileId, count, depth) {
  const body = Buffer.alloc(49);
  body.writeUInt16LE(49, 0);
  body[2] = 80;
  body.writeUInt32LE(4096, 4);
  fileId.copy(body, 16);
  for (let done = 0; done < count; done += depth) {
    const messages = Array.from({ length: depth }, () => client.framed(client.message(READ, body)));
    client.sendRaw(Buffer.concat(messages));
    for (let index = 0; index < depth; index++) await client.next();
  }
}

async function measure(name, count, work) {
  await work();
  const began = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  const wall = ((performance.now() - began) * 1000) / count;
  console.log(
    `${name}: ${wall.toFixed(2)} µs, CPU of client and server ${((user + system) / count).toFixed(2)} µs`,
  );
}

const folder = await open('many', 0x81);
await measure('one entry of a listing', 20 * ENTRIES, async () => {
  for (let round = 0; round < 20; round++) await listAll(folder);
});
const film = await open('film.mkv', 0x120089);
await measure('READ of 4 KiB, 32 in flight', 64_000, () => readAll(film, 64_000, 32));
await measure('READ of 4 KiB, one at a time', 16_000, () => readAll(film, 16_000, 1));
process.exit(0);
