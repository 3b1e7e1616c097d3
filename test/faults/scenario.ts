/** Fault scenarios: their definition, how they run, and their rows in the table. */
import { afterAll, it } from 'vitest';
import { MIB } from '../kit/fuse.ts';
import { failsReadsInFlight, type Kernel } from '../kit/kernels.ts';
import type { Seen } from './consumer.ts';
import { Lab, type LabOptions } from './lab.ts';
import { addRow, printTable } from './report.ts';
import type { Protocol, ServerKind } from './server.ts';
import { within } from './time.ts';

/** `full`: the fault has its realistic duration. `slice`: short enough for `npm test`. */
export type Extent = 'full' | 'slice';

export interface Stage {
  readonly lab: Lab;
  readonly protocol: Protocol;
  /** The client's kernel. */
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
  /** Also runs in the slice: on all its kernels, or on the oldest only. */
  readonly slice?: 'every kernel' | 'oldest kernel';
  readonly lab?: LabOptions;
  /** Why only Holdfast can play it. */
  readonly onlyHoldfast?: string;
  /** Rejects if a consumer saw something wrong. */
  run(stage: Stage): Promise<void>;
}

/** Time limit of a scenario in ms, as it may wait for an event that never comes. */
const limits: Readonly<Record<Extent, number>> = { full: 14 * 60_000, slice: 100_000 };
/** Ms that consumers have to end once their scenario has failed. */
const wrapUpMs = 15_000;
/** Ms for the setup and clean-up of a scenario. */
const around = 60_000;

/** Fails if one of these consumers saw wrong bytes, missing or duplicate names, or an error. */
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

/** As {@link unharmed}, but each consumer may have one of these errors, which cifs makes of a lost connection. Notes it. */
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

/** Errors that some kernels return for reads in flight when the connection ends. */
const ofReadsInFlight = ({ kernel }: Stage) => (failsReadsInFlight(kernel) ? ['EAGAIN'] : []);

/** {@link unharmed} after a loss of the connection, with the client errors that no server can prevent. */
export function unharmedByLoss(stage: Stage, ...all: readonly Seen[]): void {
  unharmedBut(ofReadsInFlight(stage), stage, all);
}

/**
 * {@link unharmed} after a SIGKILL. The kernel may close a dying process's connections before its listening socket: a client
 * that reconnects at once is then reset during NEGOTIATE, and cifs fails the waiting call with EHOSTDOWN, even with `hard`. A
 * killed server cannot prevent that. NFS retries.
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

/** The kinds of errors in the consumers' reports. */
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
    // Markdown would read underscores in a bare path as emphasis.
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

/** Whether the new daemon got no reads: a server that keeps the detached mount open never uses the new mount. */
async function isUnread(lab: Lab): Promise<boolean> {
  const counts = await lab.fuse.counts().catch(() => undefined);
  return counts !== undefined && counts.read + counts.list === 0;
}

/** Runs a scenario. Rejects if Holdfast fails it; for a peer, only if the scenario could not run. */
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
  /** The clients' kernels, oldest first. */
  readonly kernels: readonly Kernel[];
  readonly extent: Extent;
  /** Servers to run instead of Holdfast. Their failures appear in the table only. */
  readonly peers?: Readonly<Record<Protocol, ServerKind>>;
}

/** Defines one test for each scenario and kernel, which runs all protocols in parallel. Prints the table at the end. */
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
