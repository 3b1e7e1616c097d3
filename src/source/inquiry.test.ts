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
      wasWell: false,
      confirm: () => Promise.resolve(),
      opinion: () => Promise.resolve('well' as Opinion),
      onSuspicion: () => undefined,
      ...options,
    },
    counts,
    suspicion,
    grace,
  );

/** Milliseconds until the verdict, if the object returns the same error each time. */
async function untilVerdict(inquiry: Inquiry): Promise<number> {
  const begun = performance.now();
  for (;;) {
    const weighed = inquiry.weigh('io');
    await vi.advanceTimersByTimeAsync(600);
    const said = await weighed;
    if (said === 'verdict') return performance.now() - begun;
  }
}

describe('an error or short answer', () => {
  it('is accepted soon if it is an error and another object answers', async () => {
    expect(await untilVerdict(inquire())).toBeLessThan(1_500);
    expect(counts.verdicts.get('io')).toBe(1);
    expect(counts.held).toBe(0);
  });

  it('is retried at least once before the verdict', async () => {
    const weighed = inquire().weigh('io');
    await vi.advanceTimersByTimeAsync(SourceLimits.pauses[0]);
    expect(await weighed).toBe('again');
  });

  it('is held for longer if no other object can be asked or none answers', async () => {
    for (const opinion of ['none', 'unwell'] as const) {
      const inquiry = inquire({ opinion: () => Promise.resolve(opinion) });
      expect(await untilVerdict(inquiry)).toBeGreaterThanOrEqual(2 * grace);
    }
  });

  it('is not accepted soon if the object itself has answered a moment ago', async () => {
    const held = await untilVerdict(inquire({ wasWell: true }));
    expect(held).toBeGreaterThanOrEqual(grace);
    expect(held).toBeLessThan(2 * grace);
  });

  it('is not accepted soon after a short answer that nobody holds', async () => {
    suspicion.cameShort(grace);
    expect(await untilVerdict(inquire())).toBeGreaterThanOrEqual(grace);
    expect(await untilVerdict(inquire())).toBeLessThan(1_500);
  });

  it('is not accepted soon while another call indicates a shutdown of the daemon', async () => {
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

  it('is accepted at once if the object already has a verdict and the source is there', async () => {
    expect(await inquire({ convicted: true }).weigh('io')).toBe('verdict');
    const gone = inquire({ convicted: true, confirm: () => Promise.reject(new TreeError('down')) });
    await expect(gone.weigh('io')).rejects.toMatchObject({ code: 'down' });
  });

  it('is not accepted soon if it is a short answer, or a different error each time', async () => {
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

  it('is not retried if it took very long', async () => {
    expect(await inquire().weigh('io', SourceLimits.slowFailure)).toBe('verdict');
  });

  it('is an outage if the source goes away meanwhile', async () => {
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

  it('is dropped when an answer comes', async () => {
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
