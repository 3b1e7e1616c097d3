import type { RpcHooks } from '../hooks.ts';
import type { RpcLimits } from '../limits.ts';
import { MalformedError } from '../xdr/error.ts';
import type { XdrReader } from '../xdr/reader.ts';
import type { RpcCall } from './call.ts';
import type { Peer } from './context.ts';
import type { SlabPool } from './pool.ts';
import {
  type CallHeader,
  garbageArgs,
  type ProgramTable,
  type RejectedCall,
  rejectionReply,
  type RpcProcedure,
  systemError,
} from './program.ts';
import type { ReplyWriter } from './reply.ts';
import type { Totals } from './reservations.ts';

/** What all transports share; made by the server. */
export interface TransportHost {
  readonly limits: RpcLimits;
  readonly hooks: RpcHooks;
  readonly pool: SlabPool;
  readonly table: ProgramTable;
  readonly totals: Totals;
}

/**
 * Runs a procedure and returns its reply with the header. Makes no promise when the procedure returns a value. Never
 * throws and never rejects.
 */
export function invoke(
  host: TransportHost,
  procedure: RpcProcedure,
  args: XdrReader,
  call: RpcCall,
): ReplyWriter | Promise<ReplyWriter> {
  const fail = (error: unknown): ReplyWriter => {
    if (error instanceof MalformedError) {
      host.hooks.malformed?.(call.peer, `${call.program} ${call.procedure}: ${error.message}`);
      return rejectionReply(host.pool, call.xid, garbageArgs);
    }
    call.bug(error);
    return rejectionReply(host.pool, call.xid, systemError);
  };
  const succeed = (reply: ReplyWriter): ReplyWriter => {
    reply.seal(call.xid);
    return reply;
  };
  let outcome;
  try {
    outcome = procedure.run(args, call);
  } catch (error) {
    return fail(error);
  }
  return outcome instanceof Promise ? outcome.then(succeed, fail) : succeed(outcome);
}

/** Makes the early reply to a retransmission: the procedure's failure reply for the error that `onRetransmission` throws. */
export function answerRetransmission(host: TransportHost, call: RpcCall): ReplyWriter | undefined {
  const { onRetransmission, failWith } = call;
  if (onRetransmission === undefined || failWith === undefined || call.answered) return undefined;
  try {
    onRetransmission();
  } catch (thrown) {
    try {
      const reply = failWith(thrown);
      reply.seal(call.xid);
      return reply;
    } catch (error) {
      call.bug(error);
    }
  }
  return rejectionReply(host.pool, call.xid, systemError);
}

export function reportFinished(host: TransportHost, call: RpcCall, reply: ReplyWriter): void {
  host.hooks.callFinished?.({
    peer: call.peer,
    program: call.program,
    procedure: call.procedure,
    status: reply.status,
    seconds: (performance.now() - call.startedAt) / 1000,
    bytesIn: call.bytesIn,
    bytesOut: reply.size,
  });
}

/** Makes the reply to a call that is rejected before it reaches a procedure. */
export function refuse(
  host: TransportHost,
  peer: Peer,
  header: CallHeader,
  rejected: RejectedCall,
  bytesIn: number,
): ReplyWriter {
  const reply = rejectionReply(host.pool, header.xid, rejected);
  host.hooks.callFinished?.({
    peer,
    program: host.table.nameOf(header.program),
    procedure: '-',
    status: rejected.status,
    seconds: 0,
    bytesIn,
    bytesOut: reply.size,
  });
  return reply;
}
