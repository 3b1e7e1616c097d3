/** What a fault scenario is, how it is run, and how its row of the table comes about. */
import { afterAll, it } from 'vitest';
import { MIB } from '../kit/fuse.ts';
import { failsReadsInFlight, type Kernel } from '../kit/kernels.ts';
import type { Seen } from './consumer.ts';
import { Lab, type LabOptions } from './lab.ts';
import { addRow, printTable } from './report.ts';
import type { Protocol, ServerKind } from './server.ts';
import { within } from './time.ts';

/** `full` takes as long as the fault does in life, `slice` as long as somebody waits for `npm test`. */
export type Extent = 'full' | 'slice';

export interface Stage {
  readonly lab: Lab;
  readonly protocol: Protocol;
  /** The client's. */
  readonly kernel: Kernel;
  readonly extent: Extent;
  /** One value for the full suite, one for the slice. */
  readonly pick: <T>(full: T, slice: T) => T;
  /** A remark for the table. */
  readonly note: (text: string) => void;
}

export interface Scenario {
  readonly fault: string;
  /** Default: both. */
  readonly protocols?: readonly Protocol[];
  /** Runs in the slice as well: on all its kernels, or on the oldest of them. */
  readonly slice?: 'every kernel' | 'oldest kernel';
  readonly lab?: LabOptions;
  /** Why only Holdfast can play it. */
  readonly onlyHoldfast?: string;
  /** Fails when a consumer saw what it should not have. */
  run(stage: Stage): Promise<void>;
}

/** Of a scenario, which may wait for what never comes. */
const limits: Readonly<Record<Extent, number>> = { full: 14 * 60_000, slice: 100_000 };
/** What a consumer has once its scenario has failed. */
const wrapUpMs = 15_000;
/** For what comes before and after a scenario. */
const around = 60_000;

/** Fails unless nothing that these consumers saw was wrong, missing, double or an error. */
export function unharmed(...all: readonly Seen[]): void {
  for (const seen of all) {
    const trouble = [
      ...seen.errors.map(
        ({ call, path, error, at, afterMs }) => `${call} ${path}: ${error} at ${at} after ${afterMs} ms`,
      ),
      ...(seen.wrongAt < 0 ? [] : [`wrong bytes at ${seen.wrongAt}`]),
      ...(seen.doubled === 0 ? [] : [`${seen.doubled} entries twice`]),
    ];
    if (trouble.length > 0) throw new Error(trouble.slice(0, 5).join('; '));
  }
}

/** The same, except for one error of each consumer that cifs itself makes of a lost connection. The table tells of it. */
function unharmedBut(errors: readonly string[], { protocol, note }: Stage, all: readonly Seen[]): void {
  const forgiven: string[] = [];
  const others = all.map((seen) => {
    const first = protocol === 'smb' ? seen.errors.find(({ error }) => errors.includes(error)) : undefined;
    if (first) forgiven.push(first.error);
    return { ...seen, errors: seen.errors.filter((one) => one !== first) };
  });
  for (const error of new Set(forgiven)) {
    const count = forgiven.filter((one) => one === error).length;
    note(`${count} calls failed by cifs's own doing (${error})`);
  }
  unharmed(...others);
}

/** What some kernels make of reads whose connection ends. */
const ofReadsInFlight = ({ kernel }: Stage) => (failsReadsInFlight(kernel) ? ['EAGAIN'] : []);

/** {@link unharmed} after a loss of the connection that no server can soften. */
export function unharmedByLoss(stage: Stage, ...all: readonly Seen[]): void {
  unharmedBut(ofReadsInFlight(stage), stage, all);
}

/**
 * {@link unharmed} after a SIGKILL. The kernel may close a dying process's connections before the socket it listens at: a client
 * that connects at once is then reset in the middle of NEGOTIATE, and cifs fails the call that waited for it with EHOSTDOWN, even
 * with `hard`. A server that is killed cannot help that; NFS asks again.
 */
export function unharmedByKill(stage: Stage, ...all: readonly Seen[]): void {
  unharmedBut(['EHOSTDOWN', ...ofReadsInFlight(stage)], stage, all);
}

/** Fails if a call of a consumer took longer. */
export function prompt(ms: number, ...all: readonly Seen[]): void {
  for (const { longestMs, longestAtMs, longestCall } of all) {
    if (longestMs > ms)
      throw new Error(`a pause of ${longestMs} ms in ${longestCall} (at ${longestAtMs} ms), more than ${ms}`);
  }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** The kinds of errors, as far as the consumers have kept them. */
function kindsOfErrors(seen: readonly Seen[]): string {
  const kinds = seen.flatMap(({ errors }) =>
    errors.map(({ call, error, at }) => {
      if (call === 'count') return `${at} entries listed`;
      return call === 'end' ? 'wrong length' : `${call} ${error}`;
    }),
  );
  return [...new Set(kinds)].join(', ');
}

function summary(lab: Lab | undefined, notes: readonly string[], failure: unknown): string {
  const seen = lab?.seen ?? [];
  const readers = seen.filter(({ bytes }) => bytes > 0);
  const listers = seen.filter(({ entriesMax }) => entriesMax >= 0);
  const right = readers.every(({ wrongAt }) => wrongAt < 0);
  const parts: string[] = [];
  if (failure !== undefined) {
    const [first] = (failure as Error).message.split(/\n|; /);
    // Markdown takes the underscores of a bare path for emphasis.
    parts.push(`FAILED: ${first!.replace(/\/mnt\/[^\s:]+/, '`$&`')}`);
  }
  if (readers.length > 0) {
    const amount = Math.round(sum(readers.map(({ bytes }) => bytes)) / MIB);
    parts.push(`${readers.length} readers, ${amount} MiB${right ? ', every byte right' : ', some wrong'}`);
  }
  if (listers.length > 0) parts.push(`${sum(listers.map(({ loops }) => loops))} listings`);
  const errors = sum(seen.map(({ errorCount }) => errorCount));
  parts.push(errors === 0 ? 'no error' : `${errors} errors (${kindsOfErrors(seen)})`, ...notes);
  if (lab && lab.running > 0) parts.push(`${lab.running} consumers still waiting`);
  return parts.join('; ');
}

function longestPause(lab: Lab | undefined): number | undefined {
  if (lab && lab.running > 0) return Infinity;
  const longest = Math.max(-1, ...(lab?.seen ?? []).map(({ longestMs }) => longestMs));
  return longest < 0 ? undefined : longest;
}

/** Whoever holds on to a mount that was detached is well served by its daemon, and never sees the next. */
async function isUnread(lab: Lab): Promise<boolean> {
  const counts = await lab.fuse.counts().catch(() => undefined);
  return counts !== undefined && counts.read + counts.list === 0;
}

/** Fails when Holdfast did; a peer only if it could not be put to the fault. */
async function play(
  scenario: Scenario,
  protocol: Protocol,
  { extent, kernel, peer }: { extent: Extent; kernel: Kernel; peer: ServerKind | undefined },
): Promise<void> {
  const { fault, onlyHoldfast } = scenario;
  const { release } = kernel;
  const who = peer ? `${protocol} (${peer.name})` : protocol;
  if (peer && onlyHoldfast !== undefined) {
    addRow({ fault, protocol: who, kernel: release, saw: `cannot: ${onlyHoldfast}`, longestMs: undefined });
    return;
  }
  const notes: string[] = [];
  let lab: Lab | undefined;
  let failure: unknown;
  try {
    lab = await Lab.start(protocol, scenario.lab, { server: peer, kernel });
    const pick = <T>(full: T, slice: T) => (extent === 'full' ? full : slice);
    const run = scenario.run({ lab, protocol, kernel, extent, pick, note: (text) => notes.push(text) });
    await within(run, limits[extent], 'the end of the scenario');
    const bugs = lab.gateway.errors();
    if (bugs.length > 0) throw new Error(`the gateway logged an error: ${JSON.stringify(bugs[0])}`);
  } catch (error) {
    failure = error ?? new Error('unknown');
    await lab?.wrapUp(wrapUpMs);
  }
  if (lab && (await isUnread(lab))) notes.push('nothing of the tree mounted last was read');
  addRow({
    fault,
    protocol: who,
    kernel: release,
    saw: summary(lab, notes, failure),
    longestMs: longestPause(lab),
  });
  const log = failure === undefined ? '' : await lab?.logs();
  await lab?.dispose();
  if (failure !== undefined && !(peer && lab)) {
    const { message } = failure as Error;
    throw new Error(`over ${protocol}, Linux ${release}: ${message}\n${log ?? ''}`, { cause: failure });
  }
}

export interface Suite {
  readonly protocols: readonly Protocol[];
  /** The clients', oldest first. */
  readonly kernels: readonly Kernel[];
  readonly extent: Extent;
  /** They serve instead of Holdfast, and what they do not stand is a row of the table only. */
  readonly peers?: Readonly<Record<Protocol, ServerKind>>;
}

/** One test of each scenario for each kernel, with all protocols beside each other, and the table at the end. */
export function playAll(scenarios: readonly Scenario[], suite: Suite): void {
  const { extent, peers } = suite;
  for (const kernel of suite.kernels) {
    const skipped = kernel === suite.kernels[0] ? [] : ['oldest kernel'];
    for (const scenario of scenarios) {
      if (extent === 'slice' && (!scenario.slice || skipped.includes(scenario.slice))) continue;
      const wanted = suite.protocols.filter((protocol) => scenario.protocols?.includes(protocol) ?? true);
      if (wanted.length === 0) continue;
      const run = async () => {
        const outcomes = await Promise.allSettled(
          wanted.map((protocol) => play(scenario, protocol, { extent, kernel, peer: peers?.[protocol] })),
        );
        const failures = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
        if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('\n\n'));
      };
      const title = `${scenario.fault} (${wanted.join(', ')}; Linux ${kernel.release})`;
      it(title, run, limits[extent] + around);
    }
  }
  afterAll(printTable);
}
