import { describe, expect, it } from 'vitest';

import { markRecord } from './rpc/record.ts';
import { mutate, randomSource } from './testing/fuzz.ts';
import { callRecord, RawConnection, startServer } from './testing/harness.ts';
import { recordedCalls } from './testing/recorded-calls.ts';

/** FUZZ_RUNS asks for a longer run, FUZZ_SEED for another one. */
const runs = Number(process.env['FUZZ_RUNS'] ?? 1500);
const seed = Number(process.env['FUZZ_SEED'] ?? 1);

describe('mutated calls', () => {
  it(
    'are answered or end their connection, and nothing is a bug',
    async () => {
      const bugs: unknown[] = [];
      const { server, backend, address } = await startServer({ hooks: { bug: (error) => bugs.push(error) } });
      const calls = recordedCalls(backend);
      const random = randomSource(seed);
      let connection = await RawConnection.open(address);
      for (let run = 0; run < runs; run++) {
        const record = mutate(calls[random(calls.length)]!, random);
        // Every so often the mark itself is wrong.
        const wire =
          random(20) === 0 ? mutate(markRecord(record), random) : markRecord(record, 1 + random(200));
        connection.socket.write(wire);
        if (random(3) > 0) continue;
        const other = await RawConnection.open(address);
        other.socket.write(markRecord(callRecord({ xid: run })));
        const answer = await other.reply();
        expect(answer?.readUInt32BE(0), `run ${run} of seed ${seed}`).toBe(run);
        other.socket.destroy();
        if (random(4) > 0 && !connection.socket.destroyed) continue;
        connection.socket.destroy();
        connection = await RawConnection.open(address);
      }
      connection.socket.destroy();
      await server.close({ timeoutMs: 1000 });
      expect(bugs, `seed ${seed}`).toEqual([]);
    },
    60_000 + runs * 20,
  );
});
