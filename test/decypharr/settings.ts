/** Settings of the suite from environment variables. */
import { existsSync } from 'node:fs';

/** How the tree is mounted: by one of Decypharr's FUSE backends, or by rclone over its WebDAV. */
export type Backend = 'hanwen' | 'cgo' | 'rclone';
const backends: readonly Backend[] = ['hanwen', 'cgo', 'rclone'];

const help = `This suite runs the real Decypharr. Name its binary:

  DECYPHARR=/path/to/decypharr npm run test:decypharr

Releases and sources are at https://github.com/sirrobot01/decypharr (it is one Go program; with both FUSE backends it
needs cgo and Debian's libfuse-dev). RCLONE=/usr/bin/rclone adds rclone over its WebDAV. No debrid account is used.`;

function number(name: string, fallback: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!(value >= 0)) throw new Error(`${name}: ${text} is not a number`);
  return value;
}

function program(name: string): string | undefined {
  const path = process.env[name];
  if (path === undefined || path === '') return undefined;
  if (!existsSync(path)) throw new Error(`${name}: there is no ${path}`);
  return path;
}

/** Why the suite cannot run, or undefined. */
export function whatIsMissing(): string | undefined {
  try {
    if (program('DECYPHARR') === undefined) return help;
    program('RCLONE');
  } catch (error) {
    return `${(error as Error).message}\n\n${help}`;
  }
  if (process.getuid?.() !== 0) return 'the suite needs root, for its namespaces and FUSE mounts';
  return undefined;
}

export const decypharr = (): string => program('DECYPHARR')!;
export const rclone = (): string | undefined => program('RCLONE');

/** The backends in DECYPHARR_BACKENDS; default: all whose programs are available. */
export function wantedBackends(): Backend[] {
  const wanted = (process.env['DECYPHARR_BACKENDS'] ?? backends.join()).split(',');
  return backends.filter(
    (backend) => wanted.includes(backend) && (backend !== 'rclone' || process.env['RCLONE'] !== undefined),
  );
}

/** Sizes of the scenarios. Each can be set by its variable, for a shorter run. */
export const sizes = {
  /** Rounds for each way to end the daemon. */
  rounds: number('DECYPHARR_ROUNDS', 3),
  /** Parallel streams of each of the four clients. */
  streams: number('DECYPHARR_STREAMS', 2),
  /** Bytes of a stream. */
  streamBytes: number('DECYPHARR_STREAM_MB', 200) * 1_000_000,
  /** Films that are scanned. */
  films: number('DECYPHARR_FILMS', 100),
  /** Releases of the big library. */
  releases: number('DECYPHARR_RELEASES', 10_000),
  /** Bursts of the stream that pauses. */
  bursts: number('DECYPHARR_BURSTS', 8),
  /** Seconds for which the provider stalls. */
  stall: number('DECYPHARR_STALL', 75),
};
