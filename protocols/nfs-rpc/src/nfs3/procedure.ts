import { type Awaitable, type NfsBackend, NfsError } from '../backend.ts';
import type { RpcCall } from '../rpc/call.ts';
import type { RpcProcedure } from '../rpc/program.ts';
import type { ReplyWriter } from '../rpc/reply.ts';
import { NfsStatus } from '../status.ts';
import type { Codec } from '../xdr/codec.ts';
import type { XdrReader } from '../xdr/reader.ts';
import { Operation } from './operation.ts';
import type { ReadTurns } from './read-turns.ts';

/** The wire form of a procedure's arguments and of its two results. */
export interface Shape<Args, Ok extends object, Failed extends object> {
  readonly name: string;
  readonly args: Codec<Args>;
  /** The results after NFS3_OK, and after any other status. */
  readonly ok: Codec<Ok>;
  readonly failed: Codec<Failed>;
}

/** A row of the procedure table. */
export interface Procedure<Failed extends object = object> {
  readonly name: string;
  readonly failed: Codec<Failed>;
  /** Makes the failure body from the objects that the call has resolved so far. */
  failure<N>(operation: Operation<N>): Failed;
  /** Decodes the arguments before it returns. Throws (or rejects) on failure. */
  serve<N>(operation: Operation<N>, args: XdrReader): Awaitable<ReplyWriter>;
}

/** Makes a procedure from a function that maps decoded arguments to results. */
export function procedure<Args, Ok extends object, Failed extends object>(
  shape: Shape<Args, Ok, Failed>,
  failure: <N>(operation: Operation<N>) => Failed,
  handle: <N>(operation: Operation<N>, args: Args) => Awaitable<Ok>,
): Procedure<Failed> {
  const encode = (call: RpcCall, value: Ok): ReplyWriter => {
    const reply = call.reply(512);
    reply.uint32(NfsStatus.OK);
    shape.ok.encode(reply, value);
    return reply;
  };
  return {
    name: shape.name,
    failed: shape.failed,
    failure,
    serve: (operation, reader) => {
      const args = shape.args.decode(reader);
      const { call } = operation;
      return guarded(() => {
        const value = handle(operation, args);
        return value instanceof Promise ? value.then((ok) => encode(call, ok)) : encode(call, value);
      });
    },
  };
}

/** Wraps an error thrown after decoding, so that even a `MalformedError` does not count as bad arguments. */
class ServeFailure {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/** Wraps any error that `work` throws. Used once the arguments are decoded. */
export function guarded<T>(work: () => Awaitable<T>): Awaitable<T> {
  try {
    return work();
  } catch (error) {
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    throw new ServeFailure(error);
  }
}

const statusNames = new Map<number, string>(Object.entries(NfsStatus).map(([name, value]) => [value, name]));

/** Binds a procedure to a backend, for the RPC server. */
export function bind<N>(row: Procedure, backend: NfsBackend<N>, turns: ReadTurns<N>): RpcProcedure {
  return {
    name: row.name,
    run: (args, call) => {
      const operation = new Operation(backend, call, turns);
      const fail = (error: unknown): ReplyWriter => encodeFailure(row, operation, error);
      call.failWith = fail;
      let outcome;
      try {
        outcome = row.serve(operation, args);
      } catch (error) {
        if (error instanceof ServeFailure) return fail(error.error);
        throw error;
      }
      return outcome instanceof Promise ? outcome.catch(fail) : outcome;
    },
  };
}

/**
 * The only place that maps an error to a status. An error other than `NfsError` is a bug: it is reported and becomes
 * SERVERFAULT.
 */
function encodeFailure<N>(row: Procedure, operation: Operation<N>, error: unknown): ReplyWriter {
  const expected = error instanceof NfsError && error.status !== NfsStatus.OK;
  if (!expected) operation.call.bug(error);
  const status = expected ? error.status : NfsStatus.SERVERFAULT;
  const reply = operation.call.reply(256);
  reply.uint32(status);
  row.failed.encode(reply, row.failure(operation));
  reply.status = statusNames.get(status) ?? String(status);
  return reply;
}
