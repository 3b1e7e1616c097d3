/**
 * Serves shares in memory, for real clients and conformance suites: `node dist/testing/memory-server.js [PORT]`.
 * Shares: `rw` (and `rw2` to `rw5`) for the users `user` and `second` (passwords `pass` and `pass2`), and `ro`, a
 * read-only guest share with a few files.
 * SMB_SIGNING=required requires signing, SMB_GUESTS=off refuses guests, SMB_VERBOSE logs each request.
 * SMB_PERSISTENT=on grants persistent handles, SMB_STREAMS=off and SMB_COMPRESSION=off disable those features.
 */
import { createHash } from 'node:crypto';
import { MemoryShare } from '../memory/memory-share.ts';
import { encodeDescriptor, WellKnownSid } from '../security/index.ts';
import { SmbServer } from '../server.ts';
import { statusName } from '../wire/status.ts';

const port = Number(process.argv[2] ?? 0);
const verbose = process.env['SMB_VERBOSE'] !== undefined;
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const readOnly = new MemoryShare({ readOnly: true });
readOnly.putFile('hello.txt', Buffer.from('hello, world\n'));
readOnly.putFile('big.bin', Buffer.alloc(32 * 2 ** 20, 'holdfast '));
readOnly.putFile('films/Release: One (2024)/film.mkv', Buffer.alloc(3 * 2 ** 20 + 17, 'x'));
readOnly.putFile('films/empty.txt', Buffer.alloc(0));

/** A share whose root nobody can open. */
const closed = new MemoryShare();
const forNobody = encodeDescriptor({
  control: 0,
  owner: WellKnownSid.ADMINISTRATORS,
  dacl: { revision: 2, aces: [] },
});
await closed.changes!.securityDescriptors!.set(closed.root, forNobody);

const server = new SmbServer({
  serverGuid: digest('memory-server').subarray(0, 16),
  serverName: 'MEMORY',
  durableKey: digest('durable'),
  users: [
    { name: 'user', password: 'pass' },
    { name: 'second', password: 'pass2' },
  ],
  signing: process.env['SMB_SIGNING'] === 'required' ? 'required' : 'auto',
  shares: [
    ...['rw', 'rw2', 'rw3', 'rw4', 'rw5'].map((name) => ({
      name,
      comment: 'read and write',
      backend: new MemoryShare({
        capacity: 2 ** 30,
        streams: process.env['SMB_STREAMS'] !== 'off',
        compresses: process.env['SMB_COMPRESSION'] !== 'off',
      }),
      guest: false,
      continuouslyAvailable: process.env['SMB_PERSISTENT'] === 'on',
    })),
    { name: 'noperm', comment: 'closed', backend: closed, guest: false },
    { name: 'ro', comment: 'read only', backend: readOnly, guest: process.env['SMB_GUESTS'] !== 'off' },
  ],
  interfaces: () => [{ address: '127.0.0.1', index: 1, linkSpeed: 1e10, isParallel: true }],
  // A conformance suite has many failed logons.
  limits: { freeLogonFailures: 1_000_000, maxOpensPerAddress: 262_144 },
  hooks: {
    bug: (error, context) => console.error('bug:', context, error),
    malformed: ({ reason }) => console.error('malformed:', reason),
    ...(verbose && {
      requestFinished: ({ command, status, seconds }) =>
        console.error(command, statusName(status), (seconds * 1000).toFixed(2)),
      disconnected: ({ reason }) => console.error('disconnected:', reason),
    }),
  },
});
const address = await server.listen({ host: '127.0.0.1', port });
console.log(address.port);
process.once('SIGTERM', () => void server.close({ timeoutMs: 2000 }).then(() => process.exit(0)));
