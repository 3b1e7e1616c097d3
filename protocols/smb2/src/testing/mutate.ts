/**
 * Sends almost valid messages and looks for bugs in the server: `node dist/testing/mutate.js [MESSAGES] [SEED]`. Half
 * of them go to a writable share, half to a read-only one. Exits with 1 if the server reported a bug.
 */
import { MemoryShare } from '../memory/memory-share.ts';
import { SmbServer } from '../server.ts';
import { HEADER_SIZE } from '../wire/constants.ts';
import { setNextCommand } from '../wire/header.ts';
import { RawClient, setupBody, treeConnectBody } from './raw-client.ts';
import { negotiateMessage } from './ntlm-client.ts';

const wanted = Number(process.argv[2] ?? 100_000);
let seed = Number(process.argv[3] ?? 1);
/** Messages to send before reading the replies, and messages for each connection. */
const BURST = 24;
const LIFE = 400;

/** mulberry32 */
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0;
  let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
}
const below = (most: number): number => Math.floor(random() * most);
const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;

const share = (readOnly: boolean): MemoryShare => {
  const made = new MemoryShare({ readOnly, capacity: 2 ** 26 });
  for (let index = 0; index < 30; index++) made.putFile(`folder/file ${index}.txt`, 'x'.repeat(index * 100));
  made.putSymlink('folder/link', 'file 1.txt');
  return made;
};

const bugs: string[] = [];
const server = new SmbServer({
  serverGuid: Buffer.alloc(16, 1),
  serverName: 'MUTATE',
  shares: [
    { name: 'rw', backend: share(false), guest: true, continuouslyAvailable: true },
    { name: 'ro', backend: share(true), guest: true, followSymlinks: true },
  ],
  interfaces: () => [{ address: '127.0.0.1', index: 1, linkSpeed: 1e9, isParallel: true }],
  limits: { freeLogonFailures: 1e9, oplockBreakTimeoutMs: 200, interimAfterMs: 100 },
  hooks: {
    bug: (error, where) =>
      bugs.push(`${where}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`),
  },
});
const { port } = await server.listen({ host: '127.0.0.1', port: 0 });

/** A body of `size` bytes that begins with its StructureSize, with the FileId at `at`. */
function body(structureSize: number, size: number, fileId: Buffer, at: number | undefined): Buffer {
  const made = Buffer.alloc(size);
  made.writeUInt16LE(structureSize, 0);
  if (at !== undefined) fileId.copy(made, at);
  return made;
}

/** The AAPL context for a server query (1) or for the path of an id (2). */
function appleContext(command: number): Buffer {
  const made = Buffer.alloc(24);
  made.writeUInt32LE(command, 0);
  made.writeUInt32LE(below(40), 8);
  made.writeUInt32LE(1, 16);
  return made;
}

/** Bodies by command that are valid, or may be. */
function bodyFor(client: RawClient, command: number, fileId: Buffer): Buffer {
  switch (command) {
    case 0:
      return body(36, 40, fileId, undefined);
    case 1:
      return setupBody(negotiateMessage());
    case 3:
      return treeConnectBody(pick(['rw', 'ro', 'IPC$', 'none']));
    case 5: {
      const contexts = pick<Parameters<RawClient['createBody']>[1]>([
        [],
        [{ name: 'MxAc', data: Buffer.alloc(0) }],
        [{ name: 'RqLs', data: Buffer.alloc(52, below(256)) }],
        [{ name: 'DH2Q', data: Buffer.alloc(32, below(256)) }],
        [{ name: 'AAPL', data: appleContext(pick([1, 2])) }],
        [{ name: 'SecD', data: Buffer.alloc(60, below(256)) }],
      ]);
      const path = pick([
        '',
        'folder',
        'folder\\file 1.txt',
        'folder\\link',
        `new ${below(50)}`,
        'folder\\a:b',
        'srvsvc',
      ]);
      return client.createBody(path, contexts, {
        desiredAccess: pick([0x81, 0x120089, 0x12019f, 0x1f01ff, 0x02000000]),
        disposition: below(6),
        options: pick([0, 1, 0x40, 0x1000, 0x200000]),
        shareAccess: below(8),
        oplockLevel: pick([0, 1, 8, 9, 0xff]),
      });
    }
    case 6:
    case 7:
      return body(24, 24, fileId, 8);
    case 8:
    case 9: {
      const made = body(49, 49 + 200, fileId, 16);
      made.writeUInt32LE(pick([0, 1, 100, 200]), 4);
      made.writeUInt16LE(HEADER_SIZE + 48, 2);
      return made;
    }
    case 10: {
      const made = body(48, 48, fileId, 8);
      made.writeUInt16LE(1, 2);
      made.writeUInt32LE(pick([1, 2, 4, 0x11, 0x12]), 40);
      return made;
    }
    case 11: {
      const made = body(57, 57 + 64, fileId, 8);
      const codes = [
        0x00140204, 0x001401fc, 0x00140078, 0x001440f2, 0x000900c4, 0x000980c8, 0x000940cf, 0x00098344,
        0x0009c040, 0x0011c017,
      ];
      made.writeUInt32LE(pick(codes), 4);
      made.writeUInt32LE(HEADER_SIZE + 56, 24);
      made.writeUInt32LE(pick([0, 8, 24, 40, 64]), 28);
      made.writeUInt32LE(4096, 44);
      made.writeUInt32LE(1, 48);
      return made;
    }
    case 14: {
      const made = body(33, 32 + 8, fileId, 8);
      made[2] = pick([1, 2, 3, 12, 37, 38, 60, 63, 0x64]);
      made[3] = below(32);
      made.writeUInt16LE(HEADER_SIZE + 32, 24);
      made.writeUInt16LE(2, 26);
      made.writeUInt32LE(pick([100, 1000, 65_536]), 28);
      made.write(pick(['*', '?', '<', '"']), 32, 'utf16le');
      return made;
    }
    case 15:
      return body(32, 32, fileId, 8);
    case 16: {
      const made = body(41, 41, fileId, 24);
      made[2] = below(5);
      made[3] = below(70);
      made.writeUInt32LE(4096, 4);
      return made;
    }
    case 17: {
      const made = body(33, 32 + 80, fileId, 16);
      made[2] = below(5);
      made[3] = below(70);
      made.writeUInt32LE(pick([1, 8, 24, 40, 80]), 4);
      made.writeUInt16LE(HEADER_SIZE + 32, 8);
      return made;
    }
    case 18:
      return body(pick([24, 36]), 36, fileId, 8);
    default:
      return body(4, 4, fileId, undefined);
  }
}

/** Changes a few bytes, mostly of the body: a message with a wrong header is refused early. */
function mutate(message: Buffer): void {
  for (let count = below(4); count > 0; count--) {
    const at = random() < 0.9 ? HEADER_SIZE + below(message.length - HEADER_SIZE) : below(HEADER_SIZE);
    // A changed message id would always end the connection.
    if (at >= 24 && at < 32) continue;
    message[at] = pick([0, 1, 0x7f, 0x80, 0xff, below(256)]);
  }
}

function nextMessage(client: RawClient, fileId: Buffer): Buffer {
  // A second NEGOTIATE ends the connection, and a LOGOFF ends the session.
  const command =
    random() < 0.01
      ? below(20)
      : pick([1, 3, 5, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11, 12, 13, 14, 14, 15, 16, 16, 17, 17, 18]);
  const message = client.message(command, bodyFor(client, command, fileId), {
    flags: random() < 0.05 ? 4 : 0,
  });
  mutate(message);
  return message;
}

/** Sends up to LIFE messages on a new connection. Returns how many. */
async function live(name: string): Promise<number> {
  const client = await RawClient.connect(port);
  await client.enter(name);
  let fileId: Buffer = Buffer.alloc(16);
  let sent = 0;
  while (sent < LIFE && !client.closed) {
    const frames: Buffer[] = [];
    for (let index = 0; index < BURST; index++) {
      const message = nextMessage(client, fileId);
      sent++;
      if (random() < 0.1 && message.length % 8 === 0) {
        const second = nextMessage(client, fileId);
        setNextCommand(message, 0, message.length);
        frames.push(client.framed(Buffer.concat([message, second])));
        sent++;
      } else frames.push(client.framed(message));
    }
    client.sendRaw(Buffer.concat(frames));
    for (let answered = 0; answered < BURST / 2; answered++) {
      const reply = await Promise.race([client.next(), new Promise((resolve) => setTimeout(resolve, 20))]);
      if (!reply || typeof reply !== 'object' || !('packet' in reply)) break;
      const { packet, command, status } = reply as { packet: Buffer; command: number; status: number };
      if (command === 5 && status === 0 && packet.length >= 152) fileId = packet.subarray(128, 144);
    }
  }
  client.close();
  return sent;
}

let done = 0;
let told = 0;
await Promise.all(
  ['rw', 'ro', 'rw', 'ro', 'rw', 'ro', 'rw', 'ro'].map(async (name) => {
    while (done < wanted && bugs.length < 20) {
      done += await live(name);
      if (done - told < 100_000) continue;
      told = done;
      console.log(`${done} messages, ${bugs.length} bugs`);
    }
  }),
);
console.log(`${done} messages, ${bugs.length} bugs, ${JSON.stringify(server.statistics)}`);
for (const bug of new Set(bugs)) console.log(bug);
process.exit(bugs.length === 0 ? 0 : 1);
