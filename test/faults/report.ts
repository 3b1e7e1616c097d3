/** The table at the end: printed, and written to the file that FAULTS_REPORT names. */
import { writeFileSync } from 'node:fs';
import { markdownTable } from '../kit/markdown.ts';

export interface Row {
  readonly fault: string;
  readonly protocol: string;
  /** The client's kernel, as `uname -r` prints it. */
  readonly kernel: string;
  readonly saw: string;
  /** The longest call of a consumer; Infinity: one has not returned. */
  readonly longestMs: number | undefined;
}

const rows: Row[] = [];

/** Adds a row and writes the file at once, so that a long run can be watched. */
export function addRow(row: Row): void {
  rows.push(row);
  const file = process.env['FAULTS_REPORT'];
  if (file !== undefined && file !== '') writeFileSync(file, table());
}

function seconds(ms: number | undefined): string {
  if (ms === undefined) return '';
  return ms === Infinity ? 'no end' : `${(ms / 1000).toFixed(1)} s`;
}

const table = (): string =>
  markdownTable(
    ['fault', 'protocol', 'client', 'what the consumer saw', 'longest pause'],
    rows.map(({ fault, protocol, kernel, saw, longestMs }) => [
      fault,
      protocol,
      `Linux ${kernel}`,
      saw,
      seconds(longestMs),
    ]),
  );

export function printTable(): void {
  if (rows.length > 0) process.stdout.write(`\n${table()}\n`);
}
