/** The documents: every link has a target, and every command is run by a test or listed as not runnable here. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { commands } from '../src/cli/commands.ts';
import { main } from '../src/cli/index.ts';
import { parse } from '../src/cli/parse.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = [
  '.',
  'deploy',
  'deploy/migrate',
  'src',
  'test',
  'bench',
  'protocols/smb2',
  'protocols/nfs-rpc',
];
const documents = folders.flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, folder, name)),
);
const name = (file: string) => relative(root, file);
const withoutCode = (text: string) => text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');

/** The anchors of a file's headings, as GitHub makes them. */
function anchors(file: string): Set<string> {
  const found = new Set<string>();
  for (const [, title = ''] of readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm))
    found.add(
      title
        .replace(/[`*_]/g, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- ]/gu, '')
        .replaceAll(' ', '-'),
    );
  return found;
}

describe.each(documents.map((file) => [name(file), file]))('%s', (_, file) => {
  it('has links to existing targets only', () => {
    const broken: string[] = [];
    for (const [, target = ''] of withoutCode(readFileSync(file, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const at = path === '' ? file : resolve(dirname(file), path);
      if (!existsSync(at) || (anchor !== undefined && !anchors(at).has(anchor))) broken.push(target);
    }
    expect(broken).toEqual([]);
  });
});

/** Command lines of shell blocks, without comments. Lines that continue with `\` are joined. */
function commandLines(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) =>
    block
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((line) =>
        line
          .replace(/(^|\s)#.*$/, '')
          .replace(/\s+/g, ' ')
          .trim(),
      )
      .filter((line) => line !== ''),
  );
}

/** By the beginning of the command line: the test that runs it, or why none does. */
const places: readonly (readonly [RegExp, string])[] = [
  [/^npm start$/, 'test/demo.test.ts; npm run test:fresh'],
  [/^npm test$/, 'npm run test:fresh'],
  [/^npm ci && npm run build$/, '.ci/run'],
  [/^npm run build$/, '.ci/run'],
  [/^(npx )?holdfast init --yes/, 'here'],
  [/^(npx )?holdfast init$/, 'src/cli/init.test.ts'],
  [/^(npx )?holdfast doctor --config/, 'test/doctor.test.ts'],
  [/^(npx )?holdfast serve/, 'test/kit/gateway.ts, by most tests'],
  [/^(npx )?holdfast run/, 'test/supervise.test.ts'],
  [/^(npx )?holdfast mount /, 'src/mounter/mounter.test.ts; npm run test:image'],
  [/^(npx )?holdfast mount-options/, 'src/cli/cli.test.ts'],
  [/^mount -t nfs/, 'test/nfs-kernel.test.ts'],
  [/^mount -t cifs/, 'test/smb-kernel.test.ts'],
  [/^docker /, 'not here: there is no docker daemon'],
];

it('name test files that exist', () => {
  const files = places.flatMap(([, place]) => place.match(/\b(?:test|src)\/[\w./-]+\.ts/g) ?? []);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

/** Splits a command line into words. Supports only the quotes that the documents use. */
const words = (line: string) =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

it('have no command that is missing from the list', () => {
  const operating = documents.filter((file) => !/^(bench|protocols)/.test(name(file)));
  const unknown = operating.flatMap((file) =>
    commandLines(file)
      .filter((line) => !places.some(([pattern]) => pattern.test(line)))
      .map((line) => `${name(file)}: ${line}`),
  );
  expect(unknown).toEqual([]);
});

it('name only existing commands and flags of the program', () => {
  for (const file of documents) {
    const inText = [...readFileSync(file, 'utf8').matchAll(/`((?:npx )?holdfast [a-z-]+[^`\n]*)`/g)];
    const lines = [...commandLines(file), ...inText.map(([, line = '']) => line)];
    for (const line of lines) {
      const [first, ...rest] = words(line.replace(/^npx /, ''));
      if (first !== 'holdfast' || rest[0] === undefined) continue;
      const command = commands.find((one) => one.name === rest[0]);
      expect(command, `${name(file)}: ${line}`).toBeDefined();
      const { rest: restName, required } = command!.positionals;
      const isWhole = line.includes('--') || rest.length > 1 || (required === 0 && restName === undefined);
      if (isWhole) expect(() => parse(command!, rest.slice(1)), `${name(file)}: ${line}`).not.toThrow();
    }
  }
});

it('configure a user in one command', async () => {
  const line = commandLines(join(root, 'README.md')).find((one) => one.includes('init --yes'))!;
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-documents-'));
  try {
    const tree = join(folder, 'dfs');
    mkdirSync(tree);
    const args = words(line.replace('/mnt/dfs', tree)).slice(2);
    const silent = { env: {}, interactive: false, out: () => undefined, err: () => undefined };
    const output = join(folder, 'holdfast.yaml');
    expect(await main([...args, '--output', output], {}, silent)).toBe(0);
    expect(await main(['check', output], {}, silent)).toBe(0);
    expect(readFileSync(join(folder, 'holdfast.media.password'), 'utf8').trim().length).toBeGreaterThan(8);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('tell what the program is in under 150 lines', () => {
  expect(readFileSync(join(root, 'README.md'), 'utf8').split('\n').length).toBeLessThan(150);
});

/** What the program logs, by its source: the last text of each call, cut where a value stands in it. */
function loggedLines(): string[] {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (file) =>
      file.endsWith('.ts') && !file.endsWith('.test.ts') && !/^(mounter|cli\/mount\.ts|demo)/.test(file),
  );
  const inner = String.raw`\((?:[^()]|\([^()]*\))*\)`;
  const call = new RegExp(String.raw`\blog\.(?:info|warn|error)\(((?:[^()]|${inner})*)\)`, 'g');
  const lines = files.flatMap((file) =>
    [...readFileSync(join(root, 'src', file), 'utf8').matchAll(call)].map(([, args = '']) => {
      const texts = [...args.matchAll(/'((?:[^'\\]|\\.)*)'|`([^`]*)`/g)].map(
        ([, plain, made]) => plain ?? made ?? '',
      );
      return (texts.at(-1) ?? '').replaceAll(/\$\{[^}]*\}/g, '…');
    }),
  );
  return [...new Set(lines)].filter((line) => line.includes(' '));
}

it('tell of each line that the program logs what to do', () => {
  const text = readFileSync(join(root, 'deploy/OPERATIONS.md'), 'utf8');
  const [, table = ''] = /^### Logs\n([\s\S]*?)^### /m.exec(text) ?? [];
  const told = [...table.matchAll(/^\| (`+)(.+?)\1 +\|/gm)].map(([, , line = '']) => line);
  const isTold = (line: string) =>
    told.some((one) => one === line || (one.includes('…') && line.includes(one.replaceAll('…', '').trim())));
  expect(told.length).toBeGreaterThan(40);
  const untold = loggedLines().filter((line) => !isTold(line));
  expect(untold, 'lines that the table under Logs in deploy/OPERATIONS.md lacks').toEqual([]);
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(root, 'src', file), 'utf8'))
    .join('\n');
  expect(
    told.filter(
      (line) =>
        !sources.includes(
          line
            .split('…')
            .find((part) => part !== '')!
            .trim(),
        ),
    ),
  ).toEqual([]);
});

it('name every metric that there is, and no other', async () => {
  const { Metrics } = await import('../src/admin/index.ts');
  const metrics = new Metrics({ process: false });
  metrics.addInfo({ version: '' });
  metrics.watchCache({ bytes: 0, limit: 0, evictions: 0, unreadBytes: 0 });
  metrics.watchWorkers({ busy: 0, aside: 0 });
  const there = [...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, one = '']) => one);
  const text = readFileSync(join(root, 'deploy/OPERATIONS.md'), 'utf8');
  const named = new Set<string>();
  for (const [, cell = ''] of text.matchAll(/^\| (`holdfast_[^|]*)\|/gm)) {
    let before = '';
    for (const [, one = ''] of cell.matchAll(/`(holdfast_\w+|_\w+)`/g)) {
      // `_closes_total` after `holdfast_source_opens_total`: the part of an object, or of a lane.
      const [prefix = ''] = /^holdfast_(?:source|lane|mount)/.exec(before) ?? [];
      const whole = one.startsWith('_') ? `${prefix}${one}` : one;
      if (!one.startsWith('_')) before = one;
      named.add(whole);
    }
  }
  const unnamed = there.filter((one) => !named.has(one));
  expect(unnamed, 'metrics that deploy/OPERATIONS.md does not name').toEqual([]);
  expect([...named].filter((one) => !there.includes(one))).toEqual([]);
});
