/** The committed list: one line `STATUS NAME` for each test, followed by ` # REASON` if it does not pass. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { groupOf } from './suite.mjs';

const pathOf = (list) => new URL(list, import.meta.url);
/** The first line of each list. */
const TITLES = {
  'expected.txt':
    "smbtorture's smb2 list (the system's) against the in-memory backend: what each test is expected to give, and why it does not pass.",
  'expected-trixie.txt': 'The same with the smbtorture of Debian trixie.',
  'smbd-trixie.txt':
    "What Debian trixie's smbd gives with its own smbtorture, set up by suite.mjs; behind # smbtorture's words.",
};
const LINE = /^(?<status>pass|fail|skip|timeout) (?<name>smb2\..*?)(?: # (?<reason>.*))?$/;

/** Reads the list in the file `list` beside this one. A missing file is an empty list. */
export function readExpected(list) {
  const expected = new Map();
  if (!existsSync(pathOf(list))) return expected;
  for (const line of readFileSync(pathOf(list), 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const fields = LINE.exec(line)?.groups;
    if (fields === undefined) throw new Error(`${list}: cannot read "${line}"`);
    expected.set(fields.name, { status: fields.status, reason: fields.reason });
  }
  return expected;
}

/** Updates the list with results. An existing reason stays if the status is the same; else it is smbtorture's message. */
export function updateExpected(list, expected, results) {
  for (const { name, status, reason } of results) {
    const before = expected.get(name);
    if (status === 'pass') expected.set(name, { status });
    else if (before?.status !== status) expected.set(name, { status, reason: firstWords(reason) });
  }
  writeExpected(list, expected);
}

const firstWords = (reason) => reason.replaceAll(/\s+/g, ' ').slice(0, 160).trim() || 'no reason given';

function writeExpected(list, expected) {
  const counts = new Map();
  for (const { status } of expected.values()) counts.set(status, (counts.get(status) ?? 0) + 1);
  const total = [...counts].map(([status, count]) => `${count} ${status}`).sort();
  const lines = [
    `# ${TITLES[list] ?? TITLES['expected.txt']}`,
    `# ${total.join(', ')} of ${expected.size}. Written by the runner with \`--update\`; reasons are written by hand.`,
  ];
  const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, { status, reason }] of sorted) {
    lines.push(`${status} ${name}${status === 'pass' ? '' : ` # ${reason ?? 'no reason given'}`}`);
  }
  writeFileSync(pathOf(list), `${lines.join('\n')}\n`);
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
