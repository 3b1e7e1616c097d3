import { describe, expect, it } from 'vitest';

import type { RpcHooks } from './hooks.ts';
import { markRecord } from './rpc/record.ts';
import { mutate, randomSource } from './testing/fuzz.ts';
import { callRecord, RawConnection, startServer } from './testing/harness.ts';
import { recordedCalls } from './testing/recorded-calls.ts';

/** FUZZ_RUNS sets the number of messages, FUZZ_SEED the sequence. */
const runs = Number(process.env['FUZZ_RUNS'] ?? 1500);
const seed = Number(process.env['FUZZ_SEED'] ?? 1);
const HEADER_SIZE = callRecord({}).length;

describe('mutated calls', () => {
  it(
    'are answered or end their connection, and nothing is a bug',
    async () => {
      const bugs: unknown[] = [];
      let reached = 0;
      const hooks: RpcHooks = {
        bug: (error) => bugs.push(error),
        callFinished: ({ procedure }) => {
          if (procedure !== '-' && procedure !== 'NULL') reached++;
        },
      };
      const { server, backend, address } = await startServer({ hooks });
      const calls = recordedCalls(backend);
      const random = randomSource(seed);
      const good = await RawConnection.open(address);
      for (let run = 0; run < runs; run++) {
        const call = calls[random(calls.length)]!;
        // Mutate mostly the arguments, sometimes the header, rarely the record mark.
        const record = mutate(call, random, random(5) === 0 ? 0 : HEADER_SIZE);
        const marked = markRecord(record, 1 + random(200));
        const connection = await RawConnection.open(address);
        connection.socket.end(random(20) === 0 ? mutate(marked, random) : marked);
        await connection.closed;
        if (run % 16 > 0) continue;
        good.socket.write(markRecord(callRecord({ xid: run })));
        expect((await good.reply())?.readUInt32BE(0), `run ${run} of seed ${seed}`).toBe(run);
      }
      good.socket.destroy();
      await server.close({ timeoutMs: 1000 });
      expect(bugs, `seed ${seed}`).toEqual([]);
      expect(reached).toBeGreaterThan(runs / 2);
    },
    60_000 + runs * 20,
  );
});
