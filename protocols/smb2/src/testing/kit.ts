/** A server and its clients for one test. `end` closes everything and fails on bugs that the server reported. */
import { MemoryShare } from '../memory/memory-share.ts';
import { SmbServer } from '../server.ts';
import type { SmbServerOptions } from '../server.ts';
import type { ShareOptions } from '../share/volume.ts';
import { HEADER_SIZE } from '../wire/constants.ts';
import { createResponse } from '../wire/create.ts';
import { decodeCreateContexts, payloadOf } from '../wire/create-contexts.ts';
import type { FileId } from '../wire/file-id.ts';
import { Status } from '../wire/status.ts';
import { RawClient } from './raw-client.ts';
import type { RawReply } from './raw-client.ts';
import { UserClient } from './user-client.ts';
import type { LogOnOptions, NegotiateOptions } from './user-client.ts';

export const Media = { user: 'media', password: 'correct horse' };
export const Other = { user: 'other', password: 'battery staple' };

export class TestKit {
  readonly #ends: (() => unknown)[] = [];
  readonly malformed: string[] = [];
  readonly bugs: unknown[] = [];
  port = 0;

  async serve(
    share: MemoryShare,
    options: Partial<SmbServerOptions> = {},
    shareOptions: Partial<ShareOptions> = {},
  ): Promise<SmbServer> {
    const server = new SmbServer({
      serverGuid: Buffer.alloc(16, 1),
      serverName: 'TEST',
      users: [Media, Other].map(({ user, password }) => ({ name: user, password })),
      durableKey: Buffer.alloc(32, 9),
      shares: [{ name: 'share', backend: share, guest: true, ...shareOptions }],
      hooks: {
        malformed: ({ reason }) => this.malformed.push(reason),
        bug: (error) => this.bugs.push(error),
      },
      ...options,
    });
    ({ port: this.port } = await server.listen({ host: '127.0.0.1', port: 0 }));
    this.#ends.push(() => server.close({ timeoutMs: 300 }));
    return server;
  }

  async guest(share = 'share'): Promise<RawClient> {
    const client = await this.raw();
    await client.enter(share);
    return client;
  }

  async raw(): Promise<RawClient> {
    const client = await RawClient.connect(this.port);
    this.#ends.push(() => client.close());
    return client;
  }

  async negotiated(options: NegotiateOptions = {}): Promise<UserClient> {
    const client = await UserClient.connectUser(this.port, options.from);
    this.#ends.push(() => client.close());
    await client.negotiateAs(options);
    return client;
  }

  /** A client that has negotiated and logged on; with `share` also connected to it. */
  async user(options: NegotiateOptions & { share?: string; logOn?: LogOnOptions } = {}): Promise<UserClient> {
    const client = await this.negotiated(options);
    await client.logOn({ ...Media, ...options.logOn });
    if (options.share !== undefined) {
      await client.connectTree(options.share);
      client.protection = { sign: true };
    }
    return client;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
    if (this.bugs.length > 0) throw new Error('the server told of a bug', { cause: this.bugs[0] });
  }
}

const CREATE = 5;

/** Opens a path and returns the FileId. */
export async function openPath(
  client: RawClient,
  ...create: Parameters<RawClient['createBody']>
): Promise<FileId> {
  const body = client.createBody(...create);
  const reply = await (client instanceof UserClient
    ? client.ask(CREATE, body)
    : client.request(CREATE, body));
  if (reply?.status !== Status.SUCCESS) throw new Error(`CREATE: ${reply?.status.toString(16) ?? 'hung up'}`);
  return createResponse.decode(reply.packet, HEADER_SIZE).fileId;
}

/** Returns a create context of a CREATE reply. */
export function contextOf({ packet }: RawReply, name: string): Buffer | undefined {
  const { contextsOffset, contextsLength } = createResponse.decode(packet, HEADER_SIZE);
  return payloadOf(
    decodeCreateContexts(packet.subarray(contextsOffset, contextsOffset + contextsLength), 8),
    name,
  );
}

/** Asks for the path of an id with a CREATE of the root, as macOS does. Returns the status and path in that context. */
export async function pathOfId(client: RawClient, id: bigint): Promise<[status: number, path: string]> {
  const data = Buffer.alloc(16);
  data.writeUInt32LE(2, 0);
  data.writeBigUInt64LE(id, 8);
  const body = client.createBody('', [{ name: 'AAPL', data }], { desiredAccess: 0x80 });
  const reply = await client.request(CREATE, body);
  const answer = reply?.status === Status.SUCCESS ? contextOf(reply, 'AAPL') : undefined;
  if (answer?.readUInt32LE(0) !== 2) throw new Error(`no answer: ${reply?.status.toString(16) ?? 'hung up'}`);
  return [answer.readUInt32LE(8), answer.toString('utf16le', 16, 16 + answer.readUInt32LE(12))];
}
