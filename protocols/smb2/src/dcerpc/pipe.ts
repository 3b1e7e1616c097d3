/** Named pipes of IPC$. Each open is one DCE/RPC association in message mode. */
import { DceRpcError, FaultError, FaultStatus } from './errors.ts';
import type { PipeServer, RpcInterface } from './interface.ts';
import {
  MAX_FRAGMENT,
  MAX_PRESENTATION_CONTEXTS,
  MAX_RECEIVED_FRAGMENT,
  MAX_REQUEST_FRAGMENTS,
  MAX_REQUEST_STUB,
  MAX_UNREAD,
  MIN_FRAGMENT,
} from './limits.ts';
import { NdrReader } from './ndr.ts';
import {
  type ContextAnswer,
  ContextResult,
  decodeBind,
  decodeHeader,
  decodeRequest,
  encodeBindAck,
  encodeBindNak,
  encodeFault,
  encodeResponse,
  NakReason,
  NDR,
  PDU_HEADER,
  PduFlags,
  type PduHeader,
  PduType,
  type PresentationContext,
  RejectReason,
} from './pdu.ts';
import { srvsvc } from './srvsvc.ts';
import { wkssvc } from './wkssvc.ts';

/** Part of one message. `more`: the rest did not fit (BUFFER_OVERFLOW on the wire). */
export interface PipeData {
  readonly data: Buffer;
  readonly more: boolean;
}

export interface PipeEndpoint {
  /** Takes data with any number of complete or partial PDUs. After it has thrown DceRpcError, it always throws. */
  write(data: Buffer): void;
  /** Returns at most `max` bytes of the oldest unread message; undefined when there is none. */
  read(max: number): PipeData | undefined;
  /** Writes, then reads ([MS-SMB2] 3.3.5.15.3). Returns no bytes when the request is not complete yet. */
  transceive(data: Buffer, max: number): PipeData;
}

const INTERFACES: ReadonlyMap<string, RpcInterface> = new Map([
  ['srvsvc', srvsvc],
  ['wkssvc', wkssvc],
]);

/** Opens a pipe by name (any case, with or without a leading backslash). Returns undefined for an unknown name. */
export function openPipe(name: string, server: PipeServer): PipeEndpoint | undefined {
  const plain = name.replace(/^\\+/, '').toLowerCase();
  const rpcInterface = INTERFACES.get(plain);
  return rpcInterface === undefined ? undefined : new Association(`\\PIPE\\${plain}`, rpcInterface, server);
}

/** First bytes of the pseudo syntax that offers bind-time features ([MS-RPCE] 3.3.1.5.3). */
const BIND_TIME_FEATURES = '2c1cb76c12984045';

/** A request whose last fragment has not arrived yet. */
interface Assembly {
  readonly callId: number;
  readonly contextId: number;
  readonly operation: number;
  readonly parts: Buffer[];
  length: number;
  fragments: number;
  /** Above a limit: the data is dropped, and the last fragment is answered with a fault. */
  tooLong: boolean;
}

let lastAssociationGroup = 0;

class Association implements PipeEndpoint {
  private readonly address: string;
  private readonly rpcInterface: RpcInterface;
  private readonly server: PipeServer;
  private readonly contexts = new Set<number>();
  private group = 0;
  private maxFragment = MAX_FRAGMENT;
  private input: Buffer = Buffer.alloc(0);
  private assembly: Assembly | undefined;
  private unread: Buffer[] = [];
  private unreadLength = 0;
  private broken: DceRpcError | undefined;

  constructor(address: string, rpcInterface: RpcInterface, server: PipeServer) {
    this.address = address;
    this.rpcInterface = rpcInterface;
    this.server = server;
  }

  write(data: Buffer): void {
    if (this.broken !== undefined) throw this.broken;
    try {
      this.consume(data);
    } catch (error) {
      this.input = Buffer.alloc(0);
      this.assembly = undefined;
      if (error instanceof DceRpcError) this.broken = error;
      throw error;
    }
  }

  read(max: number): PipeData | undefined {
    const message = this.unread[0];
    if (message === undefined) return undefined;
    const data = message.subarray(0, max);
    const more = data.length < message.length;
    if (more) this.unread[0] = message.subarray(data.length);
    else this.unread.shift();
    this.unreadLength -= data.length;
    return { data, more };
  }

  transceive(data: Buffer, max: number): PipeData {
    this.write(data);
    return this.read(max) ?? { data: Buffer.alloc(0), more: false };
  }

  private consume(data: Buffer): void {
    let bytes = this.input.length === 0 ? data : Buffer.concat([this.input, data]);
    while (bytes.length >= PDU_HEADER) {
      const header = decodeHeader(bytes);
      if (header.fragmentLength > MAX_RECEIVED_FRAGMENT) {
        throw new DceRpcError(`fragment of ${header.fragmentLength} bytes`);
      }
      if (bytes.length < header.fragmentLength) break;
      if (this.unreadLength > MAX_UNREAD) throw new DceRpcError('the client does not read the replies');
      this.handle(header, bytes.subarray(0, header.fragmentLength));
      bytes = bytes.subarray(header.fragmentLength);
    }
    this.input = Buffer.from(bytes);
  }

  private handle(header: PduHeader, pdu: Buffer): void {
    switch (header.type) {
      case PduType.BIND:
      case PduType.ALTER_CONTEXT:
        this.bind(header, pdu);
        return;
      case PduType.REQUEST:
        this.request(header, pdu);
        return;
      case PduType.CO_CANCEL:
        return;
      case PduType.ORPHANED:
        if (this.assembly?.callId === header.callId) this.assembly = undefined;
        return;
      default:
        this.answer(encodeFault(header.callId, 0, FaultStatus.PROTOCOL));
    }
  }

  private bind(header: PduHeader, pdu: Buffer): void {
    const first = header.type === PduType.BIND;
    const bind = decodeBind(pdu);
    if (header.authLength !== 0) {
      this.answer(encodeBindNak(header.callId, NakReason.AUTHENTICATION_TYPE_NOT_RECOGNIZED));
      return;
    }
    if (first === (this.group !== 0)) {
      this.answer(encodeBindNak(header.callId, NakReason.NOT_SPECIFIED));
      return;
    }
    if (first) {
      this.group = bind.associationGroup === 0 ? nextAssociationGroup() : bind.associationGroup;
      this.maxFragment = Math.max(MIN_FRAGMENT, Math.min(MAX_FRAGMENT, bind.maxReceive));
    }
    const answers = bind.contexts.map((context) => this.negotiate(context));
    const type = first ? PduType.BIND_ACK : PduType.ALTER_CONTEXT_RESP;
    const address = first ? this.address : '';
    this.answer(encodeBindAck(type, header.callId, this.maxFragment, this.group, address, answers));
  }

  private negotiate(context: PresentationContext): ContextAnswer {
    const { syntax } = this.rpcInterface;
    const { abstract, transfer } = context;
    const refuse = (reason: number): ContextAnswer => ({ result: ContextResult.PROVIDER_REJECTION, reason });
    if (transfer[0]?.uuid.startsWith(BIND_TIME_FEATURES) === true) {
      return { result: ContextResult.NEGOTIATE_ACK, reason: 0 };
    }
    if (abstract.uuid !== syntax.uuid || abstract.major !== syntax.major || abstract.minor > syntax.minor) {
      return refuse(RejectReason.ABSTRACT_SYNTAX_NOT_SUPPORTED);
    }
    if (!transfer.some((offered) => offered.uuid === NDR.uuid && offered.major === NDR.major)) {
      return refuse(RejectReason.TRANSFER_SYNTAXES_NOT_SUPPORTED);
    }
    if (!this.contexts.has(context.id) && this.contexts.size >= MAX_PRESENTATION_CONTEXTS) {
      return refuse(RejectReason.LOCAL_LIMIT_EXCEEDED);
    }
    this.contexts.add(context.id);
    return { result: ContextResult.ACCEPTANCE, reason: 0 };
  }

  private request(header: PduHeader, pdu: Buffer): void {
    const { contextId, operation, stub } = decodeRequest(pdu, header.flags);
    const first = (header.flags & PduFlags.FIRST) !== 0;
    // There is no security context, and without multiplexing fragments of two calls never interleave.
    const expected = first ? this.assembly === undefined : this.assembly?.callId === header.callId;
    if (header.authLength !== 0 || !expected) {
      this.assembly = undefined;
      this.answer(encodeFault(header.callId, contextId, FaultStatus.PROTOCOL));
      return;
    }
    const assembly = this.assembly ?? {
      callId: header.callId,
      contextId,
      operation,
      parts: [],
      length: 0,
      fragments: 0,
      tooLong: false,
    };
    this.assembly = assembly;
    assembly.length += stub.length;
    assembly.fragments++;
    assembly.tooLong ||= assembly.length > MAX_REQUEST_STUB || assembly.fragments > MAX_REQUEST_FRAGMENTS;
    if (assembly.tooLong) assembly.parts.length = 0;
    else assembly.parts.push(Buffer.from(stub));
    if ((header.flags & PduFlags.LAST) === 0) return;
    this.assembly = undefined;
    this.execute(assembly);
  }

  private execute(call: Assembly): void {
    try {
      if (call.tooLong) throw new FaultError(FaultStatus.OUT_OF_MEMORY, 'request too long');
      if (!this.contexts.has(call.contextId))
        throw new FaultError(FaultStatus.UNKNOWN_INTERFACE, 'not bound');
      const operation = this.rpcInterface.operations.get(call.operation);
      if (operation === undefined) throw new FaultError(FaultStatus.OP_RANGE, `operation ${call.operation}`);
      const stub = operation(new NdrReader(Buffer.concat(call.parts)), this.server);
      for (const fragment of encodeResponse(call.callId, call.contextId, stub, this.maxFragment))
        this.answer(fragment);
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      this.answer(encodeFault(call.callId, call.contextId, error.status));
    }
  }

  private answer(pdu: Buffer): void {
    this.unread.push(pdu);
    this.unreadLength += pdu.length;
  }
}

/** Never 0, with which a client asks for a new group. */
function nextAssociationGroup(): number {
  lastAssociationGroup = (lastAssociationGroup % 0xffffffff) + 1;
  return lastAssociationGroup;
}
