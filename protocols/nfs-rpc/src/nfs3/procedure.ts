import { type Awaitable, type NfsBackend, NfsError } from '../backend.ts';
import type { RpcCall } from '../rpc/call.ts';
import type { RpcProcedure } from '../rpc/program.ts';
import type { ReplyWriter } from '../rpc/reply.ts';
import { NfsStatus } from '../status.ts';
import type { Codec } from '../xdr/codec.ts';
import type { XdrReader } from '../xdr/reader.ts';
import { Operation } from './operation.ts';
import type { ReadTurns } from './read-turns.ts';

/** What arguments and both results of a procedure look like. */
export interface Shape<Args, Ok extends object, Failed extends object> {
  readonly name: string;
  readonly args: Codec<Args>;
  /** The results behind NFS3_OK, and behind any other status. */
  readonly ok: Codec<Ok>;
  readonly failed: Codec<Failed>;
}

/** A row of the procedure table. */
export interface Procedure<Failed extends object = object> {
  readonly name: string;
  readonly failed: Codec<Failed>;
  /** The failure body from what is known of the call's objects. */
  failure<N>(operation: Operation<N>): Failed;
  /** Decodes the arguments at once; a failure is thrown. */
  serve<N>(operation: Operation<N>, args: XdrReader): Awaitable<ReplyWriter>;
}

/** A procedure written as a function from decoded arguments to the value of its results. */
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

/** Thrown after decoding: whatever it is, it says nothing about the arguments, not even a `MalformedError`. */
class ServeFailure {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/** Marks what a procedure throws once its arguments are decoded. */
export function guarded<T>(work: () => Awaitable<T>): Awaitable<T> {
  try {
    return work();
  } catch (error) {
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    throw new ServeFailure(error);
  }
}

const statusNames = new Map<number, string>(Object.entries(NfsStatus).map(([name, value]) => [value, name]));

/** A row bound to a backend, as the RPC server runs it. */
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

/** The one place where something thrown becomes a status. What is no `NfsError` is a bug: reported, and SERVERFAULT. */
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
