import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TreeError } from './errors.ts';
import { Inquiry, InquiryCounts, Suspicion, type InquiryOptions } from './inquiry.ts';
import { SourceLimits } from './limits.ts';
import type { Opinion } from './opinions.ts';

const grace = 5_000;
let counts: InquiryCounts;
let suspicion: Suspicion;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  counts = new InquiryCounts();
  suspicion = new Suspicion();
});
afterEach(() => vi.useRealTimers());

const inquire = (options: Partial<InquiryOptions> = {}) =>
  new Inquiry(
    {
      convicted: false,
      confirm: () => Promise.resolve(),
      opinion: () => Promise.resolve('well' as Opinion),
      onSuspicion: () => undefined,
      ...options,
    },
    counts,
    suspicion,
    grace,
  );

/** Milliseconds until the verdict, if the object brings the same news each time. */
async function untilVerdict(inquiry: Inquiry): Promise<number> {
  const begun = performance.now();
  for (;;) {
    const weighed = inquiry.weigh('io');
    await vi.advanceTimersByTimeAsync(600);
    const said = await weighed;
    if (said === 'verdict') return performance.now() - begun;
  }
}

describe('bad news', () => {
  it('that is an error is believed soon, when another object is well', async () => {
    expect(await untilVerdict(inquire())).toBeLessThan(1_500);
    expect(counts.verdicts.get('io')).toBe(1);
    expect(counts.held).toBe(0);
  });

  it('is asked about more than once, however soon the verdict comes', async () => {
    const weighed = inquire().weigh('io');
    await vi.advanceTimersByTimeAsync(SourceLimits.pauses[0]);
    expect(await weighed).toBe('again');
  });

  it('is held for longer when nobody else can be asked, or nobody else is well', async () => {
    for (const opinion of ['none', 'unwell'] as const) {
      const inquiry = inquire({ opinion: () => Promise.resolve(opinion) });
      expect(await untilVerdict(inquiry)).toBeGreaterThanOrEqual(2 * grace);
    }
  });

  it('is never believed soon while anything else speaks for a source that leaves', async () => {
    let suspicions = 0;
    const suspicious = inquire({ onSuspicion: () => (suspicions += 1) });
    for (let i = 0; i < 2; i++) {
      const weighed = suspicious.weigh('short');
      await vi.advanceTimersByTimeAsync(600);
      expect(await weighed).toBe('again');
    }
    expect(suspicions).toBe(1);
    expect(await untilVerdict(inquire())).toBeGreaterThanOrEqual(grace);
    suspicious.answered();
    expect(await untilVerdict(inquire())).toBeLessThan(1_500);
  });

  it('of an object that was convicted before is believed at once, from a source that is there', async () => {
    expect(await inquire({ convicted: true }).weigh('io')).toBe('verdict');
    const gone = inquire({ convicted: true, confirm: () => Promise.reject(new TreeError('down')) });
    await expect(gone.weigh('io')).rejects.toMatchObject({ code: 'down' });
  });

  it('that is a short answer, or another error each time, is never believed briefly', async () => {
    const short = inquire();
    const begun = performance.now();
    const weigh = async (news: 'short' | 'io' | 'acces', inquiry: Inquiry) => {
      const weighed = inquiry.weigh(news);
      await vi.advanceTimersByTimeAsync(600);
      return await weighed;
    };
    while ((await weigh('short', short)) === 'again');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(grace);
    const changing = inquire();
    for (let i = 0; i < 3; i++) {
      expect(await weigh('io', changing)).toBe('again');
      expect(await weigh('acces', changing)).toBe('again');
    }
  });

  it('that took very long to come is not asked for again', async () => {
    expect(await inquire().weigh('io', SourceLimits.slowFailure)).toBe('verdict');
  });

  it('is an outage when the source goes meanwhile', async () => {
    let isThere = true;
    const confirm = () => (isThere ? Promise.resolve() : Promise.reject(new TreeError('down')));
    const inquiry = inquire({ confirm });
    const weighed = inquiry.weigh('io');
    await vi.advanceTimersByTimeAsync(600);
    expect(await weighed).toBe('again');
    isThere = false;
    await expect(inquiry.weigh('io')).rejects.toMatchObject({ code: 'down' });
    expect(counts).toMatchObject({ held: 0, outages: 1 });
    expect(suspicion.calls).toBe(0);
  });

  it('is forgotten when an answer comes', async () => {
    const inquiry = inquire();
    const weighed = inquiry.weigh('short');
    await vi.advanceTimersByTimeAsync(600);
    await weighed;
    expect(counts).toMatchObject({ held: 1 });
    expect(suspicion.calls).toBe(1);
    inquiry.answered();
    inquiry.withdraw();
    expect(counts).toMatchObject({ held: 0, recovered: 1 });
    expect(suspicion.calls).toBe(0);
  });
});
