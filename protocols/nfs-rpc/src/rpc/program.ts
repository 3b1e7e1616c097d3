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
   * Decodes the arguments before it returns (a thrown `MalformedError` becomes GARBAGE_ARGS), then returns the encoded
   * results or a promise. Any other error becomes SYSTEM_ERR.
   */
  run(args: XdrReader, call: RpcCall): Awaitable<ReplyWriter>;
}

/** A program: for each version, its procedures by number. */
export interface RpcProgram {
  readonly number: number;
  readonly name: string;
  readonly versions: ReadonlyMap<number, readonly (RpcProcedure | undefined)[]>;
  /**
   * Numbers of the procedures that are served over UDP; none by default. The source address of a datagram may be
   * forged, and a long reply would flood that address. So list only procedures with short replies.
   */
  readonly byDatagram?: ReadonlySet<number>;
}

/** The NULL procedure, number 0 of every program. */
export const nullProcedure: RpcProcedure = { name: 'NULL', run: (_args, call) => call.reply(0) };

/** The header of a call, RFC 5531 §9, without the verifier: AUTH_NONE and AUTH_SYS have no meaningful one. */
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

/** @throws MalformedError when this is not a call. */
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

/** The procedure that a call is for. */
export interface Target {
  readonly program: string;
  readonly procedure: RpcProcedure;
  /** Unique for program, version and procedure. Distinguishes calls with the same xid. */
  readonly index: number;
}

/** A call that is answered without running a procedure. */
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

/** Makes the reply of a rejection, ready to be written. */
export function rejectionReply(pool: SlabPool, xid: number, rejected: RejectedCall): ReplyWriter {
  const reply = new ReplyWriter(pool, 64);
  reply.offset = RECORD_MARK_SIZE;
  replyMessage.encode(reply, { xid, type: REPLY, body: rejected.body });
  reply.mark();
  reply.status = rejected.status;
  return reply;
}

/** Returns the reason to send when there may be two, RFC 5531 §9: RPC version first, then the credential, then the program. */
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

  /** As `find`, for a datagram. Programs and procedures that are not served over UDP count as missing. */
  findForDatagram(header: CallHeader, programs: ReadonlySet<number>): Target | RejectedCall {
    const allowed = programs.has(header.program) && this.#programs.get(header.program)?.byDatagram;
    if (!allowed && header.rpcVersion === RPC_VERSION) return programUnavailable;
    const target = this.find(header);
    if (target instanceof RejectedCall || (allowed && allowed.has(header.procedure))) return target;
    return procedureUnavailable;
  }

  /** Checks program, version and procedure, in this order (RFC 5531 §9). */
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

/** Decodes credentials. Remembers the last one, since clients send the same one with every call. */
export class CredentialReader {
  #bytes: Buffer | undefined;
  #last: Credential = noCredential;

  /** RFC 5531 §8 and Appendix A. The NULL procedure accepts any flavor. */
  read(header: CallHeader): Credential | RejectedCall {
    if (header.flavor === AuthFlavor.none) return noCredential;
    if (header.procedure === 0) return noCredential;
    if (header.flavor !== AuthFlavor.sys) return rejectedCredential;
    if (this.#bytes?.equals(header.credential) === true) return this.#last;
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
