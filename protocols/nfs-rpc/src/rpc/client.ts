import { connect, type Socket } from 'node:net';

import { MAX_CLIENT_FRAGMENTS, MAX_CLIENT_REPLY } from '../limits.ts';
import type { Codec } from '../xdr/codec.ts';
import { MalformedError } from '../xdr/error.ts';
import { XdrReader } from '../xdr/reader.ts';
import { XdrWriter } from '../xdr/writer.ts';
import {
  AcceptStatus,
  AuthFlavor,
  authSysParms,
  CALL,
  callMessage,
  replyMessage,
  RPC_VERSION,
} from './message.ts';
import { markRecord, RecordReader } from './record.ts';

/** A reply other than SUCCESS, or no reply. */
export class RpcClientError extends Error {
  override readonly name = 'RpcClientError';
}

export interface RpcClientOptions {
  readonly host: string;
  readonly port: number;
  readonly program: number;
  readonly version: number;
  /** For connecting and for each call, in ms. Default: 10,000. */
  readonly timeoutMs?: number;
  /** Ids for AUTH_SYS. Without them, AUTH_NONE. */
  readonly credential?: { readonly uid: number; readonly gid: number; readonly gids?: readonly number[] };
}

interface Pending {
  readonly resolve: (results: XdrReader) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** A small client over one TCP connection, for rpcbind and for tests. */
export class RpcClient {
  readonly #options: RpcClientOptions;
  readonly #socket: Socket;
  readonly #records = new RecordReader(MAX_CLIENT_REPLY, MAX_CLIENT_FRAGMENTS);
  readonly #pending = new Map<number, Pending>();
  readonly #credential: { readonly flavor: number; readonly body: Buffer };
  #xid = Math.floor(Math.random() * 0x1_0000_0000);

  private constructor(options: RpcClientOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    this.#credential = credentialOf(options);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#failAll(error));
    socket.on('close', () => this.#failAll(new RpcClientError('connection closed')));
  }

  /** Rejects with the system's error, or after the timeout. */
  static open(options: RpcClientOptions): Promise<RpcClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: options.host, port: options.port, noDelay: true });
      const timer = setTimeout(
        () => socket.destroy(new RpcClientError('connect timed out')),
        options.timeoutMs ?? 10_000,
      );
      const refused = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      socket.once('error', refused);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', refused);
        resolve(new RpcClient(options, socket));
      });
    });
  }

  /** Rejects with `RpcClientError`, or with `MalformedError` when the results do not follow their declaration. */
  async call<A, R>(procedure: number, args: Codec<A>, value: A, results: Codec<R>): Promise<R> {
    const xid = this.#xid++ >>> 0;
    const writer = new XdrWriter();
    callMessage.encode(writer, {
      xid,
      type: CALL,
      rpcVersion: RPC_VERSION,
      program: this.#options.program,
      version: this.#options.version,
      procedure,
      credential: this.#credential,
      verifier: { flavor: AuthFlavor.none, body: Buffer.alloc(0) },
    });
    args.encode(writer, value);
    const reader = await new Promise<XdrReader>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle(xid)?.reject(new RpcClientError('call timed out')),
        this.#options.timeoutMs ?? 10_000,
      );
      this.#pending.set(xid, { resolve, reject, timer });
      this.#socket.write(markRecord(writer.bytes()));
    });
    return results.decode(reader);
  }

  close(): void {
    this.#socket.end();
  }

  /** Resets the connection without waiting for outstanding replies. */
  destroy(): void {
    this.#socket.resetAndDestroy();
  }

  #settle(xid: number): Pending | undefined {
    const pending = this.#pending.get(xid);
    this.#pending.delete(xid);
    clearTimeout(pending?.timer);
    return pending;
  }

  #onData(chunk: Buffer): void {
    this.#records.push(chunk);
    try {
      for (let record = this.#records.next(); record !== undefined; record = this.#records.next()) {
        this.#receive(new XdrReader(record.buffer, record.start, record.end));
      }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#socket.destroy(error);
    }
  }

  #receive(reader: XdrReader): void {
    const { xid, body } = replyMessage.decode(reader);
    const pending = this.#settle(xid);
    if (body.replyStatus === 0 && body.accepted.acceptStatus === AcceptStatus.SUCCESS)
      pending?.resolve(reader);
    else pending?.reject(new RpcClientError(JSON.stringify(body)));
  }

  #failAll(error: Error): void {
    for (const xid of [...this.#pending.keys()]) this.#settle(xid)?.reject(error);
  }
}

function credentialOf({ credential }: RpcClientOptions): { flavor: number; body: Buffer } {
  const writer = new XdrWriter();
  if (credential === undefined) return { flavor: AuthFlavor.none, body: writer.bytes() };
  const { uid, gid, gids } = credential;
  authSysParms.encode(writer, { stamp: 0, machineName: 'localhost', uid, gid, gids: gids ?? [] });
  return { flavor: AuthFlavor.sys, body: writer.bytes() };
}
