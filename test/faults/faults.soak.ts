/** `npm run test:soak`: random faults for SOAK_SECONDS (default half an hour); SOAK_SEED decides which. */
import { it } from 'vitest';
import { servedProtocols } from './protocols.ts';
import { soak } from './soak.ts';

const seconds = Number(process.env['SOAK_SECONDS'] ?? 1_800);
const seed = Number(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

it(
  `${seconds} s of random faults (SOAK_SEED=${seed})`,
  async () => {
    const log = (line: string) => process.stdout.write(`${line}\n`);
    await soak({ seconds, seed, protocols: await servedProtocols(), log });
  },
  seconds * 1000 + 900_000,
);
