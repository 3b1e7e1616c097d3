import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';

import type { Awaitable } from '../backend.ts';
import { MAX_DATAGRAM, MAX_DATAGRAM_CALLS } from '../limits.ts';
import { MalformedError } from '../xdr/error.ts';
import { XdrReader } from '../xdr/reader.ts';
import { type CallLink, RpcCall } from './call.ts';
import type { Peer } from './context.ts';
import { invoke, refuse, reportFinished, type TransportHost } from './invoke.ts';
import { plainAddress } from './plain-address.ts';
import type { SlabPool } from './pool.ts';
import { CredentialReader, readCallHeader, RejectedCall, rejection } from './program.ts';
import { RECORD_MARK_SIZE, type ReplyWriter } from './reply.ts';

export interface DatagramOptions {
  readonly host?: string;
  readonly port: number;
  /** Numbers of the programs served here. */
  readonly programs: readonly number[];
  /** Whether to accept datagrams from an address. Default: from all. */
  readonly allows?: (address: string) => boolean;
}

/** RPC over UDP: one datagram, one message. Meant for portmap and MOUNT: it does not retransmit, nor keep replies that were sent. */
export class DatagramListener {
  readonly #host: TransportHost;
  readonly #options: DatagramOptions;
  readonly #programs: ReadonlySet<number>;
  #socket: Socket | undefined;
  #calls = 0;
  /** Calls that have no reply yet, by sender and XID. */
  readonly #running = new Set<string>();

  constructor(host: TransportHost, options: DatagramOptions) {
    this.#host = host;
    this.#options = options;
    this.#programs = new Set(options.programs);
  }

  listen(): Promise<AddressInfo> {
    const options = this.#options;
    // With reuseAddr a successor can bind while its predecessor still serves. The newer socket gets the datagrams.
    const type = options.host?.includes(':') === true ? 'udp6' : 'udp4';
    const socket = createSocket({ type, reuseAddr: true });
    this.#socket = socket;
    socket.on('message', (message, remote) => this.#receive(message, remote));
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ port: options.port, address: options.host }, () => {
        socket.off('error', reject);
        socket.on('error', (error) => this.#host.hooks.bug?.(error, 'datagram listener'));
        resolve(socket.address());
      });
    });
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #receive(message: Buffer, remote: RemoteInfo): void {
    const address = plainAddress(remote.address);
    if (this.#calls >= MAX_DATAGRAM_CALLS || this.#options.allows?.(address) === false) return;
    // Port 0 of a forged datagram cannot be answered.
    if (remote.port === 0) return;
    // A client that waits sends its call again every few seconds: one answer serves all.
    const key = `${address} ${remote.port} ${message.toString('hex', 0, 4)}`;
    if (this.#running.has(key)) return;
    const link = new DatagramLink(this.#host, this.#programs, {
      transport: 'udp',
      address,
      port: remote.port,
    });
    let reply: ReplyWriter | Promise<ReplyWriter>;
    try {
      reply = link.answer(message);
    } catch (error) {
      // Do not answer a message that is no call: the address of the sender may be forged.
      if (!(error instanceof MalformedError)) throw error;
      this.#host.hooks.malformed?.(link.peer, error.message);
      return;
    }
    this.#calls++;
    this.#running.add(key);
    Promise.resolve(reply)
      .finally(() => this.#running.delete(key))
      .then((ready) => this.#send(ready, remote))
      .catch((error: unknown) => link.bug(error, 'datagram reply'))
      .finally(() => {
        this.#calls--;
      });
  }

  /** Resolves when the datagram was sent, or could not be. A lost reply is nothing new to a client that uses UDP. */
  #send(reply: ReplyWriter, remote: RemoteInfo): Promise<void> {
    const message = reply.wire().subarray(RECORD_MARK_SIZE);
    return new Promise((resolve) => {
      if (this.#socket === undefined || message.length > MAX_DATAGRAM) resolve();
      else this.#socket.send(message, remote.port, remote.address, () => resolve());
    });
  }
}

class DatagramLink implements CallLink {
  readonly peer: Peer;
  readonly #host: TransportHost;
  readonly #programs: ReadonlySet<number>;

  constructor(host: TransportHost, programs: ReadonlySet<number>, peer: Peer) {
    this.#host = host;
    this.#programs = programs;
    this.peer = peer;
  }

  get pool(): SlabPool {
    return this.#host.pool;
  }

  reserve(): Awaitable<void> {
    return undefined;
  }

  cancelReservation(): void {
    // Nothing is reserved over UDP.
  }

  bug(error: unknown, where: string): void {
    this.#host.hooks.bug?.(error, where);
  }

  /** @throws MalformedError when this is not a call. */
  answer(message: Buffer): ReplyWriter | Promise<ReplyWriter> {
    const reader = new XdrReader(message);
    const header = readCallHeader(reader);
    const target = this.#host.table.findForDatagram(header, this.#programs);
    const credential = new CredentialReader().read(header);
    if (target instanceof RejectedCall || credential instanceof RejectedCall) {
      return refuse(this.#host, this.peer, header, rejection(target, credential), message.length);
    }
    const { program, procedure } = target;
    const call = new RpcCall(this, header.xid, credential, program, procedure.name, message.length);
    const finish = (reply: ReplyWriter): ReplyWriter => {
      reportFinished(this.#host, call, reply);
      return reply;
    };
    const outcome = invoke(this.#host, procedure, reader, call);
    return outcome instanceof Promise ? outcome.then(finish) : finish(outcome);
  }
}
