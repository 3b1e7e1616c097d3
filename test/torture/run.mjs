/**
 * `npm run test:torture`: smbtorture's whole `smb2` list against the in-memory backend's server, compared with
 * expected.txt. `npm run test:torture:trixie` does it with a newer one. Exit code 1 when a test that was expected to pass does not, 2 when something is missing.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { byGroup, compare, readExpected, updateExpected } from './expectations.mjs';
import { listTests, runTest, stopAll } from './suite.mjs';

const USAGE = `Usage: npm run test:torture -- [TEST…] [options]

  TEST             run these tests only, named as smbtorture --list does
  --only PREFIX    run the tests whose name begins with PREFIX; \`smb2.\` may be left out; may be repeated
  --jobs N         tests at a time (2)
  --timeout S      seconds for each test (60)
  --update         write what came out into the list of expectations
  --expected FILE  that list, beside this script (expected.txt)
  --root FOLDER    use the Samba that is unpacked there instead of the system's
  --peer           test the smbd of that folder; it has a list of its own (smbd-trixie.txt)
  --json           results as JSON on stdout, progress on stderr
  --verbose        print the output of smbtorture and of the server for each test that does not pass
  --server FILE    the server's script (protocols/smb2/dist/testing/memory-server.js)
  --option K=V     a setting more for smbtorture; may be repeated
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true, default: [] },
    jobs: { type: 'string', default: '2' },
    timeout: { type: 'string', default: '60' },
    update: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    server: {
      type: 'string',
      default: fileURLToPath(new URL('../../protocols/smb2/dist/testing/memory-server.js', import.meta.url)),
    },
    option: { type: 'string', multiple: true, default: [] },
    expected: { type: 'string' },
    root: { type: 'string' },
    peer: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const tell = values.json ? console.error : console.log;

function give(code, message) {
  console.error(message);
  process.exit(code);
}

function selectTests() {
  let all;
  try {
    all = listTests(values.root);
  } catch (error) {
    give(2, `smbtorture does not run (Debian package samba-testsuite): ${error.message}`);
  }
  const prefixes = values.only.map((prefix) => (prefix.startsWith('smb2.') ? prefix : `smb2.${prefix}`));
  const missing = positionals.filter((name) => !all.includes(name));
  if (missing.length > 0) give(2, `smbtorture has no test ${missing.join(', ')}`);
  if (prefixes.length + positionals.length === 0) return all;
  const selected = all.filter(
    (name) => positionals.includes(name) || prefixes.some((prefix) => name.startsWith(prefix)),
  );
  return selected.length > 0 ? selected : give(2, 'no test is selected');
}

function report(result, wanted) {
  const { name, status, reason, seconds, output, server } = result;
  const first = reason.split('\n')[0];
  const mark = wanted === undefined || wanted === status ? ' ' : '!';
  tell(`${mark} ${status.padEnd(7)} ${seconds.toFixed(1).padStart(5)}s ${name}${first ? ` # ${first}` : ''}`);
  if (server.includes('bug:')) tell(`  the server reports a bug: ${server.split('\n')[0]}`);
  if (values.verbose && status !== 'pass') tell(`${output}\nserver:\n${server}`);
}

/** Runs `names`, `jobs` at a time, in the order of the list. */
async function runAll(names, jobs, settings, expected) {
  const queue = [...names];
  const results = [];
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const result = await runTest(name, settings);
      results.push(result);
      report(result, expected.get(name)?.status);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

/** Many tests measure time: those that failed while others ran are repeated alone. */
async function withSecondChance(results, settings, expected) {
  const again = compare(expected, results).regressions.map(({ name }) => name);
  if (again.length === 0) return results;
  tell(`\nonce more, one at a time: ${again.length}`);
  const second = await runAll(again, 1, settings, expected);
  return [...results.filter(({ name }) => !again.includes(name)), ...second];
}

function summarise(results) {
  tell('\ngroup                          pass  fail  skip  timeout');
  const row = (label, { pass, fail, skip, timeout }) =>
    tell(
      label.padEnd(30) +
        [pass, fail, skip].map((n) => String(n).padStart(5)).join(' ') +
        String(timeout).padStart(8),
    );
  const total = { pass: 0, fail: 0, skip: 0, timeout: 0 };
  for (const [group, counts] of [...byGroup(results)].sort(([a], [b]) => (a < b ? -1 : 1))) {
    row(group, counts);
    for (const key of Object.keys(total)) total[key] += counts[key];
  }
  row(`all ${results.length}`, total);
}

/** True when nothing that was expected to pass failed. */
function judge(expected, results) {
  const { regressions, surprises, unknown } = compare(expected, results);
  for (const { name } of surprises) tell(`passes unexpectedly: ${name}`);
  for (const { name, status } of unknown) tell(`not in expected.txt (${status}): ${name}`);
  for (const { name, status, reason } of regressions)
    tell(`NO LONGER PASSES (${status}): ${name}\n  ${reason}`);
  if (surprises.length + unknown.length > 0) tell('Take them over with --update.');
  return regressions.length === 0;
}

async function main() {
  if (values.help) return give(0, USAGE);
  if (!existsSync(values.server)) give(2, `${values.server} is missing: run \`npm run build\` first`);
  if (values.peer && values.root === undefined) give(2, '--peer needs --root');
  const settings = {
    script: values.peer ? undefined : values.server,
    root: values.root,
    seconds: Number(values.timeout),
    options: values.option,
  };
  const list = values.expected ?? (values.peer ? 'smbd-trixie.txt' : 'expected.txt');
  const names = selectTests();
  const expected = readExpected(list);
  const first = await runAll(names, Number(values.jobs), settings, expected);
  const results = await withSecondChance(first, settings, expected);
  summarise(results);
  const good = judge(expected, results);
  if (values.json) {
    const brief = results.map(({ name, status, reason, seconds }) => ({ name, status, reason, seconds }));
    console.log(JSON.stringify(brief, undefined, 1));
  }
  if (values.update) updateExpected(list, expected, results);
  process.exitCode = good || values.update ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    stopAll();
    process.exit(130);
  });
}
await main();
