/** The table at the end: printed, and written to the file that DECYPHARR_REPORT names. */
import { writeFileSync } from 'node:fs';
import { markdownTable } from '../kit/markdown.ts';

export interface Row {
  readonly scenario: string;
  readonly setting: string;
  readonly saw: string;
}

const rows: Row[] = [];

/** Adds a row and prints it at once, so that a long run can be watched. */
export function addRow(scenario: string, setting: string, saw: string): void {
  rows.push({ scenario, setting, saw });
  process.stdout.write(`${scenario} | ${setting} | ${saw}\n`);
  const file = process.env['DECYPHARR_REPORT'];
  if (file !== undefined && file !== '') writeFileSync(file, table());
}

const table = (): string =>
  markdownTable(
    ['scenario', 'setting', 'seen'],
    rows.map(({ scenario, setting, saw }) => [scenario, setting, saw]),
  );

export function printTable(): void {
  if (rows.length > 0) process.stdout.write(`\n${table()}\n`);
}

export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
