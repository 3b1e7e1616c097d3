/** The table at the end: printed, and written to the file that FAULTS_REPORT names. */
import { writeFileSync } from 'node:fs';

export interface Row {
  readonly fault: string;
  readonly protocol: string;
  readonly saw: string;
  /** The longest that one call of a consumer took. */
  readonly longestMs: number | undefined;
  readonly passed: boolean;
}

const rows: Row[] = [];

export function addRow(row: Row): void {
  rows.push(row);
}

const seconds = (ms: number | undefined) => (ms === undefined ? '' : `${(ms / 1000).toFixed(1)} s`);

export function table(): string {
  const cells = [
    ['fault', 'protocol', 'what the consumer saw', 'longest pause'],
    ['---', '---', '---', '---'],
    ...rows.map(({ fault, protocol, saw, longestMs }) => [fault, protocol, saw, seconds(longestMs)]),
  ];
  return cells.map((row) => `| ${row.join(' | ')} |\n`).join('');
}

export function writeReport(): void {
  if (rows.length === 0) return;
  process.stdout.write(`\n${table()}\n`);
  const file = process.env['FAULTS_REPORT'];
  if (file !== undefined && file !== '') writeFileSync(file, table());
}
