/** A test client that sends exactly what the test asks for, valid or not. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { anonymousMessage, negotiateMessage } from './ntlm-client.ts';
import { Framer } from '../transport/framer.ts';
import { createRequest } from '../wire/create.ts';
import { decodeHeader, encodeHeader, TRANSFORM_ID } from '../wire/header.ts';
import type { Header } from '../wire/header.ts';
import { HEADER_SIZE, OplockLevel } from '../wire/constants.ts';
import { encodeCreateContexts } from '../wire/create-contexts.ts';
import type { CreateContext } from '../wire/create-contexts.ts';
import type { FileId } from '../wire/file-id.ts';
import { readRequest } from '../wire/io.ts';
import { negotiateRequest } from '../wire/negotiate.ts';
import { sessionSetupRequest, treeConnectRequest } from '../wire/session.ts';
import { align } from '../wire/struct.ts';

type CreateBody = Parameters<typeof createRequest.encode>[0];

export interface RawReply extends Header {
  readonly status: number;
  /** The message from its SMB2 header on. */
  readonly packet: Buffer;
  /** Whether it had a transform header. */
  readonly isSealed: boolean;
}

export async function connectSocket(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

export interface SetupOptions {
  readonly previousSessionId?: number;
  /** SMB2_SESSION_FLAG_BINDING */
  readonly flags?: number;
  readonly securityMode?: number;
}

/** Body of a SESSION_SETUP. */
export const setupBody = (token: Buffer, options: SetupOptions = {}): Buffer =>
  sessionSetupRequest.toBuffer(
    {
      flags: options.flags ?? 0,
      securityMode: options.securityMode ?? 1,
      capabilities: 0,
      channel: 0,
      securityBufferOffset: HEADER_SIZE + sessionSetupRequest.size,
      securityBufferLength: token.length,
      previousSessionId: BigInt(options.previousSessionId ?? 0),
    },
    token,
  );

/** Body of a TREE_CONNECT. */
export function treeConnectBody(share: string): Buffer {
  const path = Buffer.from(`\\\\server\\${share}`, 'utf16le');
  return treeConnectRequest.toBuffer(
    { flags: 0, pathOffset: HEADER_SIZE + treeConnectRequest.size, pathLength: path.length },
    path,
  );
}

/** Body of a READ of the first `length` bytes. */
export const readBody = (fileId: FileId, length: number): Buffer =>
  readRequest.toBuffer(
    {
      padding: 80,
      flags: 0,
      length,
      offset: 0,
      fileId,
      minimumCount: 0,
      channel: 0,
      remainingBytes: 0,
      channelInfoOffset: 0,
      channelInfoLength: 0,
    },
    Buffer.alloc(1),
  );

export class RawClient {
  readonly #socket: Socket;
  readonly #replies: RawReply[] = [];
  readonly #waiting: ((reply: RawReply | undefined) => void)[] = [];
  messageId = 0;
  sessionId = 0;
  treeId = 0;
  closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const framer = new Framer(
      (message) => this.#receive(Buffer.from(message)),
      () => 0xffffff,
    );
    socket.on('data', (chunk: Buffer) => framer.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      for (const wake of this.#waiting.splice(0)) wake(undefined);
    });
  }

  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await connectSocket(port));
  }

  /** Opens sealed messages. */
  protected unseal(_message: Buffer): Buffer {
    throw new Error('sealed, and without a key');
  }

  #receive(received: Buffer): void {
    const isSealed = received.readUInt32LE(0) === TRANSFORM_ID;
    const message = isSealed ? this.unseal(received) : received;
    const status = message.readUInt32LE(8);
    const reply = { ...decodeHeader(message, 0), status, packet: message, isSealed };
    const wake = this.#waiting.shift();
    if (wake) wake(reply);
    else this.#replies.push(reply);
  }

  /** Returns the next message; undefined when the server has closed the connection. */
  next(): Promise<RawReply | undefined> {
    const reply = this.#replies.shift();
    if (reply) return Promise.resolve(reply);
    if (this.closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  sendRaw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  framed(message: Buffer): Buffer {
    const frame = Buffer.alloc(4);
    frame.writeUInt32BE(message.length);
    return Buffer.concat([frame, message]);
  }

  sendMessage(message: Buffer): void {
    this.sendRaw(this.framed(message));
  }

  /** Stops reading from the socket. */
  pause(): void {
    this.#socket.pause();
  }

  /** Makes a request with the next message id. It asks for 64 credits. */
  message(
    command: number,
    body: Buffer,
    overrides: Partial<{ messageId: number; flags: number }> = {},
  ): Buffer {
    const message = Buffer.alloc(HEADER_SIZE + body.length);
    encodeHeader(
      {
        creditCharge: 1,
        status: 0,
        command,
        credits: 64,
        flags: overrides.flags ?? 0,
        messageId: overrides.messageId ?? this.messageId++,
        asyncId: undefined,
        treeId: this.treeId,
        sessionId: this.sessionId,
      },
      message,
      0,
    );
    body.copy(message, HEADER_SIZE);
    return message;
  }

  async request(command: number, body: Buffer): Promise<RawReply | undefined> {
    this.sendMessage(this.message(command, body));
    return await this.next();
  }

  negotiate(dialect = 0x0302, clientGuid = Buffer.alloc(16, 7)): Promise<RawReply | undefined> {
    const body = negotiateRequest.toBuffer(
      {
        dialectCount: 1,
        securityMode: 1,
        capabilities: 0x7f,
        clientGuid,
        contextOffset: 0,
        contextCount: 0,
      },
      Buffer.from([dialect & 0xff, dialect >> 8]),
    );
    return this.request(0, body);
  }

  /** Negotiates, logs on as guest and connects to the share. */
  async enter(share: string): Promise<void> {
    await this.negotiate();
    for (const token of [negotiateMessage(), anonymousMessage()])
      this.sessionId = (await this.request(1, setupBody(token)))?.sessionId ?? 0;
    this.treeId = (await this.request(3, treeConnectBody(share)))?.treeId ?? 0;
  }

  /** Body of a CREATE that opens for reading. */
  createBody(
    path: string,
    contexts: readonly CreateContext[] = [],
    wanted: Partial<
      Pick<CreateBody, 'oplockLevel' | 'desiredAccess' | 'shareAccess' | 'disposition' | 'options'>
    > = {},
  ): Buffer {
    const text = Buffer.from(path, 'utf16le');
    const chain = encodeCreateContexts(contexts);
    const name = Buffer.alloc(align(text.length, 8));
    text.copy(name);
    const contextsOffset = HEADER_SIZE + createRequest.size + name.length;
    return createRequest.toBuffer(
      {
        securityFlags: 0,
        oplockLevel: contexts.some((context) => context.name === 'RqLs') ? OplockLevel.LEASE : 0,
        impersonationLevel: 2,
        smbCreateFlags: 0n,
        desiredAccess: 0x00120089,
        fileAttributes: 0,
        shareAccess: 7,
        disposition: 1,
        options: 0,
        nameOffset: HEADER_SIZE + createRequest.size,
        nameLength: text.length,
        contextsOffset: chain.length === 0 ? 0 : contextsOffset,
        contextsLength: chain.length,
        ...wanted,
      },
      name.length + chain.length === 0 ? Buffer.alloc(1) : Buffer.concat([name, chain]),
    );
  }

  close(): void {
    this.#socket.destroy();
  }
}
