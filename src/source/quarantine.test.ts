import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { TreeError } from './errors.ts';
import { SourceLimits } from './limits.ts';
import { Quarantine, type QuarantineEvent } from './quarantine.ts';

const events: QuarantineEvent[] = [];
let quarantine: Quarantine;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  events.length = 0;
  quarantine = new Quarantine((event) => events.push(event));
});
afterEach(() => vi.useRealTimers());

const refusal = (place = '') => {
  try {
    quarantine.admit('content', '/f', place).withdraw();
    return 'admitted';
  } catch (error) {
    return (error as TreeError).code;
  }
};

it('refuses at once with the confirmed error until the cool-down is over', () => {
  quarantine.admit('content', '/f').failed('io');
  expect(refusal()).toBe('io');
  vi.advanceTimersByTime(SourceLimits.coolDown);
  expect(refusal()).toBe('admitted');
});

it('lets one call try after the cool-down; its result decides', () => {
  quarantine.admit('content', '/f').failed('timeout');
  vi.advanceTimersByTime(SourceLimits.coolDown);
  const permit = quarantine.admit('content', '/f');
  expect(refusal()).toBe('timeout');
  permit.failed('timeout');
  expect(events.at(-1)).toMatchObject({ strikes: 2, coolDown: 2 * SourceLimits.coolDown });
  vi.advanceTimersByTime(2 * SourceLimits.coolDown);
  quarantine.admit('content', '/f').answered();
  expect(refusal()).toBe('admitted');
  expect(events.at(-1)).toMatchObject({ released: true });
  expect(quarantine.size).toBe(0);
});

it('lets another call try if the permit is withdrawn without a result', () => {
  quarantine.admit('content', '/f').failed('timeout');
  vi.advanceTimersByTime(SourceLimits.coolDown);
  for (let i = 0; i < 3; i++) expect(refusal()).toBe('admitted');
});

it('is ended by a late answer of any call', () => {
  const first = quarantine.admit('content', '/f');
  first.failed('timeout');
  expect(refusal()).toBe('timeout');
  first.answered();
  expect(refusal()).toBe('admitted');
});

it('counts parallel failures as one', () => {
  const permits = [quarantine.admit('content', '/f'), quarantine.admit('content', '/f')];
  for (const permit of permits) permit.failed('timeout');
  expect(events).toHaveLength(1);
});

it('distinguishes regions of one object, and knows whether it has any case', () => {
  quarantine.admit('content', '/f', '7').failed('io');
  expect(refusal('8')).toBe('admitted');
  expect(refusal('7')).toBe('io');
  expect(quarantine.knows('content', '/f')).toBe(true);
  expect(quarantine.knows('content', '/g')).toBe(false);
  quarantine.clear();
  expect(quarantine.knows('content', '/f')).toBe(false);
});
