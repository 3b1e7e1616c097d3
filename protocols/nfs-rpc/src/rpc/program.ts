import type { Awaitable } from '../backend.ts';
import { MalformedError } from '../xdr/error.ts';
import { XdrReader } from '../xdr/reader.ts';
import type { RpcCall } from './call.ts';
import type { Credential } from './context.ts';
import {
  AcceptStatus,
  AuthFlavor,
  authSysParms,
  AuthStatus,
  CALL,
  REPLY,
  type ReplyBody,
  replyMessage,
  RPC_VERSION,
} from './message.ts';
import type { SlabPool } from './pool.ts';
import { RECORD_MARK_SIZE, ReplyWriter } from './reply.ts';

export interface RpcProcedure {
  readonly name: string;
  /**
   * Decodes the arguments before it returns (a thrown `MalformedError` becomes GARBAGE_ARGS) and answers with the encoded
   * results, at once or later. Anything else that is thrown becomes SYSTEM_ERR.
   */
  run(args: XdrReader, call: RpcCall): Awaitable<ReplyWriter>;
}

/** A program with its versions, and for each version the procedures by number. */
export interface RpcProgram {
  readonly number: number;
  readonly name: string;
  readonly versions: ReadonlyMap<number, readonly (RpcProcedure | undefined)[]>;
  /**
   * Procedures that are answered by UDP. Who sent a datagram is not known, and a long answer would go to somebody who has
   * asked nothing. So only those are listed whose answer is short. None where it is left out.
   */
  readonly byDatagram?: ReadonlySet<number>;
}

/** The NULL procedure, number 0 of every program. */
export const nullProcedure: RpcProcedure = { name: 'NULL', run: (_args, call) => call.reply(0) };

/** The header of a call, RFC 5531 §9, without the verifier: neither flavor served has one that means anything. */
export interface CallHeader {
  readonly xid: number;
  readonly rpcVersion: number;
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  readonly flavor: number;
  /** A view into the record. */
  readonly credential: Buffer;
}

/** @throws MalformedError when this is no call at all. */
export function readCallHeader(reader: XdrReader): CallHeader {
  const xid = reader.uint32();
  const type = reader.uint32();
  if (type !== CALL) throw new MalformedError(`message type ${type}`);
  const rpcVersion = reader.uint32();
  const program = reader.uint32();
  const version = reader.uint32();
  const procedure = reader.uint32();
  const flavor = reader.uint32();
  const credential = reader.opaque(400);
  reader.uint32();
  reader.opaque(400);
  return { xid, rpcVersion, program, version, procedure, flavor, credential };
}

/** Where a call goes. */
export interface Target {
  readonly program: string;
  readonly procedure: RpcProcedure;
  /** Tells calls with the same xid apart: unique for program, version and procedure. */
  readonly index: number;
}

/** A call that is answered without any procedure. */
export class RejectedCall {
  readonly body: ReplyBody;
  readonly status: string;
  constructor(body: ReplyBody, status: string) {
    this.body = body;
    this.status = status;
  }
}

const noVerifier = { flavor: AuthFlavor.none, body: Buffer.alloc(0) };
const accepted = (acceptStatus: number, status: string): RejectedCall =>
  new RejectedCall({ replyStatus: 0, verifier: noVerifier, accepted: { acceptStatus } }, status);

export const garbageArgs = accepted(AcceptStatus.GARBAGE_ARGS, 'GARBAGE_ARGS');
export const systemError = accepted(AcceptStatus.SYSTEM_ERR, 'SYSTEM_ERR');
const programUnavailable = accepted(AcceptStatus.PROG_UNAVAIL, 'PROG_UNAVAIL');
const procedureUnavailable = accepted(AcceptStatus.PROC_UNAVAIL, 'PROC_UNAVAIL');
const rpcMismatch = new RejectedCall(
  { replyStatus: 1, rejected: { rejectStatus: 0, low: RPC_VERSION, high: RPC_VERSION } },
  'RPC_MISMATCH',
);
const authError = (authStatus: number): RejectedCall =>
  new RejectedCall({ replyStatus: 1, rejected: { rejectStatus: 1, authStatus } }, 'AUTH_ERROR');
const badCredential = authError(AuthStatus.BADCRED);
const rejectedCredential = authError(AuthStatus.REJECTEDCRED);

/** The record of a rejection, ready to be written. */
export function rejectionReply(pool: SlabPool, xid: number, rejected: RejectedCall): ReplyWriter {
  const reply = new ReplyWriter(pool, 64);
  reply.offset = RECORD_MARK_SIZE;
  replyMessage.encode(reply, { xid, type: REPLY, body: rejected.body });
  reply.mark();
  reply.status = rejected.status;
  return reply;
}

/** Which of two reasons is told, RFC 5531 §9: the version of RPC, then the credential, then the program. */
export function rejection(
  target: Target | RejectedCall,
  credential: Credential | RejectedCall,
): RejectedCall {
  if (target instanceof RejectedCall && (target === rpcMismatch || !(credential instanceof RejectedCall))) {
    return target;
  }
  return credential as RejectedCall;
}

/** The programs of one server. */
export class ProgramTable {
  readonly #programs = new Map<number, RpcProgram>();
  readonly #targets = new Map<RpcProgram, Map<number, readonly (Target | undefined)[]>>();
  #nextIndex = 0;

  add(program: RpcProgram): void {
    if (this.#programs.has(program.number)) throw new Error(`program ${program.number} is served already`);
    const versions = new Map<number, readonly (Target | undefined)[]>();
    for (const [version, procedures] of program.versions) {
      const rows = procedures.map((procedure) =>
        procedure === undefined ? undefined : { program: program.name, procedure, index: this.#nextIndex++ },
      );
      versions.set(version, rows);
    }
    this.#programs.set(program.number, program);
    this.#targets.set(program, versions);
  }

  nameOf(program: number): string {
    return this.#programs.get(program)?.name ?? String(program);
  }

  /** As `find`, for a datagram: what is not answered by UDP looks as if it were not there. */
  findForDatagram(header: CallHeader, programs: ReadonlySet<number>): Target | RejectedCall {
    const allowed = programs.has(header.program) && this.#programs.get(header.program)?.byDatagram;
    if (!allowed && header.rpcVersion === RPC_VERSION) return programUnavailable;
    const target = this.find(header);
    if (target instanceof RejectedCall || (allowed && allowed.has(header.procedure))) return target;
    return procedureUnavailable;
  }

  /** RFC 5531 §9: program, version and procedure in this order. */
  find(header: CallHeader): Target | RejectedCall {
    if (header.rpcVersion !== RPC_VERSION) return rpcMismatch;
    const program = this.#programs.get(header.program);
    if (program === undefined) return programUnavailable;
    const versions = this.#targets.get(program)!;
    const rows = versions.get(header.version);
    if (rows === undefined) {
      const known = [...versions.keys()];
      const mismatch = {
        acceptStatus: AcceptStatus.PROG_MISMATCH,
        low: Math.min(...known),
        high: Math.max(...known),
      };
      return new RejectedCall({ replyStatus: 0, verifier: noVerifier, accepted: mismatch }, 'PROG_MISMATCH');
    }
    return rows[header.procedure] ?? procedureUnavailable;
  }
}

export const noCredential: Credential = { flavor: 'none' };

/** Credentials as they come by one transport: the last one is remembered, for clients send the same again and again. */
export class CredentialReader {
  #bytes: Buffer = Buffer.alloc(0);
  #last: Credential = noCredential;

  /** RFC 5531 §8 and Appendix A. A NULL procedure is answered whatever the flavor. */
  read(header: CallHeader): Credential | RejectedCall {
    if (header.flavor === AuthFlavor.none) return noCredential;
    if (header.procedure === 0) return noCredential;
    if (header.flavor !== AuthFlavor.sys) return rejectedCredential;
    if (this.#bytes.equals(header.credential)) return this.#last;
    try {
      const { machineName, uid, gid, gids } = authSysParms.decode(new XdrReader(header.credential));
      this.#last = { flavor: 'sys', machineName, uid, gid, gids };
    } catch (error) {
      if (error instanceof MalformedError) return badCredential;
      throw error;
    }
    this.#bytes = Buffer.from(header.credential);
    return this.#last;
  }
}
