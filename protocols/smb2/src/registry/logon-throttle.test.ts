import { describe, expect, it } from 'vitest';
import { LogonThrottle } from './logon-throttle.ts';

describe('the queue of logons', () => {
  const limits = { freeLogonFailures: 3, logonIntervalMs: 1000, maxWaitingLogons: 4 };
  const make = () => {
    const clock = { now: 0 };
    return { clock, throttle: new LogonThrottle(limits, () => clock.now) };
  };

  it('is open until there are failures, and to other addresses', () => {
    const { throttle } = make();
    for (let failure = 0; failure < 3; failure++) {
      expect(throttle.turn('a')).toBe(0);
      throttle.failed('a');
    }
    expect(throttle.turn('a')).toBe(1000);
    expect(throttle.turn('b')).toBe(0);
  });

  it('gives one turn in each interval, however many ask at once', () => {
    const { throttle } = make();
    for (let failure = 0; failure < 3; failure++) throttle.failed('a');
    expect([1, 2, 3, 4, 5].map(() => throttle.turn('a'))).toEqual([1000, 2000, 3000, 4000, undefined]);
    throttle.turnTaken('a');
    expect(throttle.turn('a')).toBe(5000);
  });

  it('forgives with time', () => {
    const { clock, throttle } = make();
    for (let failure = 0; failure < 100; failure++) throttle.failed('a');
    clock.now = 2500;
    expect(throttle.turn('a')).toBe(1000);
    throttle.turnTaken('a');
    clock.now = 10_000;
    expect(throttle.turn('a')).toBe(0);
  });
});
