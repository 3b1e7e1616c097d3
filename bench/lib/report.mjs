import { cpus, loadavg, release } from 'node:os';

/**
 * @typedef {'holdfast' | 'peer' | 'limit'} Column
 *
 * @typedef {object} Sample
 * @property {number} bytes
 * @property {number} ops
 * @property {number} seconds
 * @property {number} p50 microseconds
 * @property {number} p99 microseconds
 * @property {number} [cpuPerGiB] seconds of CPU time that the server took for each GiB
 * @property {number} [resident] bytes of the server's memory after a walk
 *
 * @typedef {object} Result
 * @property {import('./rows.mjs').Row} row
 * @property {number} entries of a listing
 * @property {number} objects of a walk
 * @property {Partial<Record<Column, Sample[]>>} samples
 */

export const peers = { nfs: 'Ganesha', smb: 'smbd' };

/** @param {number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/**
 * The figure of a row (more is better): MB/s, or operations or listings per second.
 * @param {Result} result
 * @param {Sample} sample
 */
function rate({ row, entries, objects }, sample) {
  if (row.mode === 'seq') return sample.bytes / sample.seconds / 1e6;
  const ops = sample.ops / sample.seconds;
  if (row.mode === 'walk') return ops / objects;
  return row.mode === 'list' ? ops / entries : ops;
}

/**
 * @param {Result} result
 * @param {Column} column
 * @returns {{ rate: number, p50: number, p99: number, cpu: number | undefined, resident: number } | undefined} medians over the
 *   rounds
 */
export function summarise(result, column) {
  const samples = result.samples[column];
  if (!samples || samples.length === 0) return undefined;
  const cpu = samples.map((sample) => sample.cpuPerGiB ?? NaN);
  return {
    cpu: cpu.some(Number.isNaN) ? undefined : median(cpu),
    rate: median(samples.map((sample) => rate(result, sample))),
    p50: median(samples.map((sample) => sample.p50)),
    p99: median(samples.map((sample) => sample.p99)),
    resident: median(samples.map((sample) => sample.resident ?? 0)),
  };
}

/** @param {number} value */
const grouped = (value) => Math.round(value).toLocaleString('en-US');

/**
 * @param {Result} result
 * @param {{ rate: number, resident: number } | undefined} summary
 */
function shown({ row }, summary) {
  if (!summary) return '–';
  if (row.mode === 'seq') return `${grouped(summary.rate)} MB/s`;
  if (row.mode === 'random' || row.mode === 'ends') return `${grouped(summary.rate)}/s`;
  const memory = summary.resident > 0 ? `, ${grouped(summary.resident / 1e6)} MB` : '';
  return `${(1 / summary.rate).toFixed(3)} s${memory}`;
}

/**
 * @param {{ rate: number } | undefined} a
 * @param {{ rate: number } | undefined} b
 */
function ratio(a, b) {
  return a && b ? `${(a.rate / b.rate).toFixed(2)} ×` : '–';
}

/** @param {{ p50: number, p99: number } | undefined} summary */
function latency(summary) {
  return summary ? `${grouped(summary.p50)} / ${grouped(summary.p99)}` : '–';
}

/**
 * @param {{ cpu: number | undefined } | undefined} a
 * @param {{ cpu: number | undefined } | undefined} b
 */
function cpuTimes(a, b) {
  const shown = [a?.cpu, b?.cpu].map((cpu) => (cpu === undefined ? '–' : cpu.toFixed(2)));
  return shown.join(' / ');
}

/** @param {Result[]} results */
export function markdown(results) {
  const head = ['row', 'work', 'Holdfast', 'peer', 'bare limit', 'Holdfast / peer', 'Holdfast / limit'];
  head.push('Holdfast p50 / p99 µs', 'peer p50 / p99 µs', 'CPU s/GiB, Holdfast / peer');
  const lines = [head, head.map(() => '---')];
  for (const result of results) {
    const holdfast = summarise(result, 'holdfast');
    const peer = summarise(result, 'peer');
    const limit = summarise(result, 'limit');
    const { row } = result;
    lines.push([
      row.name,
      row.what,
      shown(result, holdfast),
      peer ? `${peers[row.protocol]} ${shown(result, peer)}` : '–',
      shown(result, limit),
      ratio(holdfast, peer),
      ratio(holdfast, limit),
      latency(holdfast),
      latency(peer),
      cpuTimes(holdfast, peer),
    ]);
  }
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Describes the machine, without which the figures mean little. */
export function machine() {
  const load = loadavg()[0] ?? 0;
  const processors = cpus();
  return {
    processors: processors.length,
    model: processors[0]?.model ?? 'unknown',
    kernel: release(),
    node: process.version,
    load: Number(load.toFixed(2)),
  };
}
