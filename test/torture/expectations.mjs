/** The committed list: one line for each test, `STATUS NAME`, and ` # REASON` behind all that do not pass. */
import { readFileSync, writeFileSync } from 'node:fs';
import { groupOf } from './suite.mjs';

const FILE = new URL('expected.txt', import.meta.url);
const LINE = /^(?<status>pass|fail|skip|timeout) (?<name>smb2\..*?)(?: # (?<reason>.*))?$/;

export function readExpected() {
  const expected = new Map();
  for (const line of readFileSync(FILE, 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const fields = LINE.exec(line)?.groups;
    if (fields === undefined) throw new Error(`expected.txt: cannot read "${line}"`);
    expected.set(fields.name, { status: fields.status, reason: fields.reason });
  }
  return expected;
}

/** Takes over results. A reason somebody wrote stays while the status does; else it is smbtorture's first words. */
export function updateExpected(expected, results) {
  for (const { name, status, reason } of results) {
    const before = expected.get(name);
    if (status === 'pass') expected.set(name, { status });
    else if (before?.status !== status) expected.set(name, { status, reason: firstWords(reason) });
  }
  writeExpected(expected);
}

const firstWords = (reason) => reason.replaceAll(/\s+/g, ' ').slice(0, 160).trim() || 'no reason given';

function writeExpected(expected) {
  const counts = new Map();
  for (const { status } of expected.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
  const total = [...counts].map(([status, count]) => `${count} ${status}`).sort();
  const lines = [
    "# smbtorture's smb2 list against the in-memory backend: what each test is expected to give, and why it does not pass.",
    `# ${total.join(', ')} of ${expected.size}. Written by \`npm run test:torture -- --update\`; the reasons are written by hand.`,
  ];
  const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, { status, reason }] of sorted) {
    lines.push(`${status} ${name}${status === 'pass' ? '' : ` # ${reason ?? 'no reason given'}`}`);
  }
  writeFileSync(FILE, `${lines.join('\n')}\n`);
}

/** Tests that were expected to pass and did not, that passed unexpectedly, and that are not on the list. */
export function compare(expected, results) {
  const regressions = [];
  const surprises = [];
  const unknown = [];
  for (const result of results) {
    const wanted = expected.get(result.name)?.status;
    if (wanted === undefined) unknown.push(result);
    else if (wanted === 'pass' && result.status !== 'pass') regressions.push(result);
    else if (wanted !== 'pass' && result.status === 'pass') surprises.push(result);
  }
  return { regressions, surprises, unknown };
}

export function byGroup(results) {
  const groups = new Map();
  for (const { name, status } of results) {
    const group = groups.get(groupOf(name)) ?? { pass: 0, fail: 0, skip: 0, timeout: 0 };
    group[status] += 1;
    groups.set(groupOf(name), group);
  }
  return groups;
}
