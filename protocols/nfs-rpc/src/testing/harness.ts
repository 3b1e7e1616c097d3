import { connect, type AddressInfo, type Socket } from 'node:net';

import { mountProgram } from '../mount/program.ts';
import { NFS_PROGRAM, NFS_VERSION, nfs3Program } from '../nfs3/program.ts';
import type { Shape } from '../nfs3/procedure.ts';
import { results } from '../nfs3/wire.ts';
import { RpcClient } from '../rpc/client.ts';
import {
  AuthFlavor,
  authSysParms,
  CALL,
  callMessage,
  type CallMessage,
  RPC_VERSION,
} from '../rpc/message.ts';
import { RpcServer, type RpcServerOptions } from '../rpc/server.ts';
import { type Codec, encodeOne } from '../xdr/codec.ts';
import { RecordReader } from '../rpc/record.ts';
import { MemoryBackend } from './memory-backend.ts';

/** Starts a server with a memory tree on a port that the system chooses. */
export async function startServer(
  options: RpcServerOptions = {},
  backend: MemoryBackend = new MemoryBackend(),
): Promise<{ server: RpcServer; backend: MemoryBackend; address: AddressInfo }> {
  const server = new RpcServer(options).add(nfs3Program(backend)).add(mountProgram(backend));
  const address = await server.listenTcp({ host: '127.0.0.1', port: 0 });
  return { server, backend, address };
}

/** RFC 1813 §3.3, for callers that name a procedure. */
const numbers = new Map(
  nfs3Program(new MemoryBackend())
    .versions.get(NFS_VERSION)!
    .map((row, number) => [row!.name, number]),
);
export const procedureNumber = (name: string): number => numbers.get(name)!;

export class Nfs3Client {
  readonly #client: RpcClient;

  private constructor(client: RpcClient) {
    this.#client = client;
  }

  static async open(address: AddressInfo): Promise<Nfs3Client> {
    const credential = { uid: 1000, gid: 1000, gids: [1000, 1001] };
    const target = { program: NFS_PROGRAM, version: NFS_VERSION, host: '127.0.0.1', port: address.port };
    return new Nfs3Client(await RpcClient.open({ ...target, credential, timeoutMs: 5_000 }));
  }

  /** Returns the decoded results, whatever the status. */
  call<A, Ok extends object, Failed extends object>(
    shape: Shape<A, Ok, Failed>,
    args: A,
  ): Promise<{ readonly status: number } & Partial<Ok> & Partial<Failed>> {
    const codec = results(shape.ok, shape.failed) as unknown as Codec<
      { readonly status: number } & Partial<Ok> & Partial<Failed>
    >;
    return this.#client.call(procedureNumber(shape.name), shape.args, args, codec);
  }

  /** Returns the success body. Throws for any other status. */
  async ok<A, Ok extends object>(shape: Shape<A, Ok, object>, args: A): Promise<Ok> {
    const { status, ...body } = await this.call(shape, args);
    if (status !== 0) throw new Error(`${shape.name}: status ${status}`);
    return body as unknown as Ok;
  }

  close(): void {
    this.#client.close();
  }
}

/** A call record without its record mark. */
export function callRecord<A>(header: Partial<CallMessage>, args?: Codec<A>, value?: A): Buffer {
  const credential = encodeOne(authSysParms, { stamp: 1, machineName: 'test', uid: 0, gid: 0, gids: [] });
  const message = encodeOne(callMessage, {
    xid: 1,
    type: CALL,
    rpcVersion: RPC_VERSION,
    program: NFS_PROGRAM,
    version: NFS_VERSION,
    procedure: 0,
    credential: { flavor: AuthFlavor.sys, body: credential },
    verifier: { flavor: AuthFlavor.none, body: Buffer.alloc(0) },
    ...header,
  });
  return args === undefined ? message : Buffer.concat([message, encodeOne(args, value as A)]);
}

/** A connection that sends bytes unchanged and collects the records that come back. */
export class RawConnection {
  readonly socket: Socket;
  readonly #records = new RecordReader(64 * 1024 * 1024, 1024);
  readonly #received: Buffer[] = [];
  readonly closed: Promise<void>;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve();
        this.#wake?.();
      });
    });
    socket.on('data', (chunk: Buffer) => {
      this.#records.push(chunk);
      for (let record = this.#records.next(); record !== undefined; record = this.#records.next()) {
        this.#received.push(Buffer.from(record.buffer.subarray(record.start, record.end)));
      }
      this.#wake?.();
    });
  }

  static open(address: AddressInfo): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: address.port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  /** Returns the next reply record; undefined when the connection ended first. */
  async reply(): Promise<Buffer | undefined> {
    for (;;) {
      const record = this.#received.shift();
      if (record !== undefined) return record;
      if (this.socket.destroyed) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
