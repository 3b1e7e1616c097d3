/** The table at the end: printed, and written to the file that FAULTS_REPORT names. */
import { writeFileSync } from 'node:fs';

export interface Row {
  readonly fault: string;
  readonly protocol: string;
  /** The client's, as `uname -r` says it. */
  readonly kernel: string;
  readonly saw: string;
  /** The longest that one call of a consumer took; Infinity: one has not come back. */
  readonly longestMs: number | undefined;
}

const rows: Row[] = [];

/** Adds a row; the file has it at once, for whoever watches a long run. */
export function addRow(row: Row): void {
  rows.push(row);
  const file = process.env['FAULTS_REPORT'];
  if (file !== undefined && file !== '') writeFileSync(file, table());
}

function seconds(ms: number | undefined): string {
  if (ms === undefined) return '';
  return ms === Infinity ? 'no end' : `${(ms / 1000).toFixed(1)} s`;
}

function table(): string {
  const cells = [
    ['fault', 'protocol', 'client', 'what the consumer saw', 'longest pause'],
    ['---', '---', '---', '---', '---'],
    ...rows.map(({ fault, protocol, kernel, saw, longestMs }) => [
      fault,
      protocol,
      `Linux ${kernel}`,
      saw,
      seconds(longestMs),
    ]),
  ];
  return cells.map((row) => `| ${row.join(' | ')} |\n`).join('');
}

export function printTable(): void {
  if (rows.length > 0) process.stdout.write(`\n${table()}\n`);
}
