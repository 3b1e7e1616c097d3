/** The zoo's table: one row for each file system, one column for each check, and the failures below. */
import { writeFileSync } from 'node:fs';

const results = new Map<string, Map<string, string>>();

/** Records a result. @param fault the failure; undefined: the check passed. */
export function note(animal: string, check: string, fault: string | undefined): void {
  const row = results.get(animal) ?? new Map<string, string>();
  results.set(animal, row.set(check, fault ?? 'ok'));
}

export function table(): string {
  const columns = [...new Set([...results.values()].flatMap((row) => [...row.keys()]))];
  const faults: string[] = [];
  const lines = [...results].map(([animal, row]) => {
    const cells = columns.map((column) => {
      const result = row.get(column);
      if (result !== undefined && result !== 'ok') faults.push(`- ${animal}, ${column}: ${result}`);
      return result === undefined ? '–' : result === 'ok' ? 'ok' : '**fails**';
    });
    return `| ${[animal, ...cells].join(' | ')} |`;
  });
  const header = [`| ${['filesystem', ...columns].join(' | ')} |`, `|${' --- |'.repeat(columns.length + 1)}`];
  return [...header, ...lines, '', ...faults, ''].join('\n');
}

/** Prints the table; ZOO_REPORT names a file for it. */
export function printTable(): void {
  if (results.size === 0) return;
  process.stdout.write(`\n${table()}\n`);
  const file = process.env['ZOO_REPORT'];
  if (file !== undefined && file !== '') writeFileSync(file, table());
}
