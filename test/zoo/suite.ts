/** Defines the tests: each file system is mounted once and served by one gateway, and each check runs over both protocols. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Animal } from './animals.ts';
import { checks, type Visit } from './checks.ts';
import { Site } from './daemon.ts';
import { note, printTable } from './report.ts';
import { serve, undo } from './visit.ts';

const STEP_MS = 90_000;

/** Mounts the file system, starts a gateway on it and connects both clients. */
async function arrive(animal: Animal, cleanUp: (() => unknown)[]): Promise<Visit> {
  const site = new Site(animal.name.replaceAll(/\W+/g, '-'));
  cleanUp.push(() => site.dispose());
  const living = await animal.prepare(site);
  cleanUp.push(() => living.dispose?.());
  await living.start();
  const { mountpoint } = site;
  return { animal, living, mountpoint, ...(await serve(mountpoint, cleanUp)) };
}

function describeAnimal(animal: Animal): void {
  describe(animal.name, () => {
    const cleanUp: (() => unknown)[] = [];
    let visit: Visit | undefined;
    beforeAll(async () => {
      visit = await arrive(animal, cleanUp);
    }, STEP_MS);
    afterAll(() => undo(cleanUp), STEP_MS);

    for (const check of checks.filter((one) => one.applies?.(animal) ?? true)) {
      for (const protocol of ['nfs', 'smb'] as const) {
        it(`${check.name}, ${protocol}`, { timeout: STEP_MS }, async () => {
          const column = `${check.name} ${protocol}`;
          try {
            await check.run(visit!, visit![protocol]);
            note(animal.name, column, undefined);
          } catch (error) {
            note(animal.name, column, (error as Error).message.split('\n', 4).join(' ').slice(0, 300));
            throw error;
          }
        });
      }
    }
  });
}

export function describeZoo(animals: readonly Animal[]): void {
  for (const animal of animals) describeAnimal(animal);
  afterAll(printTable);
}
