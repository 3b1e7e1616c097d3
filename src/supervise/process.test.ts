import { pino } from 'pino';
import { afterEach, expect, it, vi } from 'vitest';
import { processSpawner } from './process.ts';

afterEach(() => vi.unstubAllEnvs());

it('hands its environment on, but for what is withheld', async () => {
  vi.stubEnv('MEDIA_PASSWORD', 'hunter2');
  vi.stubEnv('GATEWAY_SECRET', 'a secret of some length');
  vi.stubEnv('PLAIN', 'yes');
  const lines: string[] = [];
  const log = pino(
    { base: null },
    { write: (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const withhold = () => ['MEDIA_PASSWORD', 'GATEWAY_SECRET', 'NOT_SET'];
  const child = await processSpawner({ command: ['env'], output: 'log', withhold, log })();
  expect(await child.exited).toEqual({ code: 0, signal: null });
  expect(lines).toContain('PLAIN=yes');
  expect(lines.filter((line) => /PASSWORD|SECRET|hunter2/.test(line))).toEqual([]);
  expect(process.env.MEDIA_PASSWORD).toBe('hunter2');
});
