import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../config/index.ts';
import { main } from './index.ts';

let folder: string;
let tree: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-init-'));
  tree = join(folder, 'dfs');
  mkdirSync(tree);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(argv: string[], answers?: string[]) {
  let [out, err] = ['', ''];
  const asked: string[] = [];
  const terminal = {
    env: {},
    interactive: answers !== undefined,
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    ...(answers && {
      ask: (question: string) => {
        asked.push(question);
        return Promise.resolve(answers.shift() ?? '');
      },
    }),
  };
  return { code: await main(['init', ...argv], {}, terminal), out, err, asked };
}

const place = (name: string) => {
  mkdirSync(join(folder, name));
  return join(folder, name, 'holdfast.yaml');
};

it('asks five questions and writes what check accepts', async () => {
  const output = place('asked');
  const { code, out, asked } = await run(['--output', output], [tree, '', '1001:1002', 'media', 'cluster']);
  expect(code).toBe(0);
  expect(asked).toHaveLength(5);
  expect(asked[0]).toBe('Which folder is the FUSE tree mounted at? [/mnt/dfs] ');
  const config = loadConfig({ flags: { config: output }, env: {} });
  expect(config.exports).toMatchObject([{ name: 'dfs', path: tree, nfs: { uid: 1001, gid: 1002 } }]);
  const [user] = config.exports[0]!.smb.users;
  expect([user!.name, user!.uid]).toEqual(['media', 1001]);
  const password = join(folder, 'asked', 'holdfast.media.password');
  expect(user!.secret.reveal()).toBe(readFileSync(password, 'utf8').trim());
  expect(config.secret!.reveal()).toMatch(/^[0-9a-f]{64}$/);
  for (const file of [password, join(folder, 'asked', 'holdfast.secret')])
    expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(out).toContain(`holdfast serve --config ${output}`);
  expect(
    await main(
      ['check', output],
      {},
      { env: {}, interactive: false, out: () => undefined, err: () => undefined },
    ),
  ).toBe(0);
});

it('takes flags, and asks nothing for them', async () => {
  const output = place('flags');
  const { code, asked } = await run(
    ['--output', output, '--path', tree, '--clients', '10.1.0.0/16 10.2.3.4', '--yes'],
    [],
  );
  expect([code, asked]).toEqual([0, []]);
  const [entry] = loadConfig({ flags: { config: output }, env: {} }).exports;
  expect(entry!.smb.guest).toBe(true);
  expect([...entry!.nfs.clients.ranges]).toEqual(['10.1.0.0/16', '10.2.3.4']);
});

it('asks again after a wrong answer', async () => {
  const answers = ['/does/not/exist', tree, 'all', '10.0.0.0/8', '1000', '1000:1000', 'a b', 'guest', 'x'];
  const { code, err, asked } = await run(['--output', place('again')], answers);
  expect(code).toBe(0);
  expect(asked.map((question) => question.split(' ')[0])).toEqual([
    'Which',
    'Which',
    'Who',
    'Who',
    'Whose',
    'Whose',
    'A',
    'A',
    'A',
  ]);
  expect(err.split('\n').slice(0, -1)).toEqual([
    expect.stringMatching(/^\/does\/not\/exist does not exist; expected the folder/),
    'all is no address or CIDR range such as 10.0.0.0/8',
    '1000 is not UID:GID such as 1000:1000',
    'a b is no name of 1 to 64 letters, digits, ".", "_" and "-"',
  ]);
});

it('refuses a wrong flag before it asks anything', async () => {
  const { code, asked } = await run(['--output', place('early'), '--identity', 'x'.repeat(256)], [tree]);
  expect([code, asked]).toEqual([2, []]);
});

it('says that it asks nothing where there is no terminal', async () => {
  const { code, err } = await run(['--output', place('piped'), '--path', tree]);
  expect([code, err]).toEqual([
    0,
    'no terminal to ask at: each question gets its suggested answer, as with --yes\n',
  ]);
});

it.each([
  ['nowhere/x.yaml', /^holdfast: --output: the folder \S+\/nowhere does not exist\n$/],
  ['text/x.yaml', /^holdfast: --output: \S+\/text is not a folder\n$/],
])('refuses the place of its file before it asks: %s', async (name, message) => {
  writeFileSync(join(folder, 'text'), '');
  const { code, err, asked } = await run(['--output', join(folder, name)], [tree]);
  expect([code, err, asked]).toEqual([2, expect.stringMatching(message), []]);
});

it.each([
  [['--path', '/does/not/exist'], /^holdfast: --path: \/does\/not\/exist does not exist; expected/],
  [['--clients', 'everybody'], /--clients: everybody is no address or CIDR range/],
  [['--owner', 'me'], /--owner: me is not UID:GID/],
  [['--owner', '1:4294967295'], /--owner: 1:4294967295 is not UID:GID/],
  [['--user', 'a/b'], /--user: a\/b is no name/],
])('leaves nothing behind where %s is refused', async (flags, message) => {
  const output = place(flags.join('').replaceAll('/', '_'));
  const { code, err } = await run(['--yes', '--path', tree, '--output', output, ...flags]);
  expect(code).toBe(2);
  expect(err).toMatch(message);
  expect(readdirSync(join(output, '..'))).toEqual([]);
});

it('overwrites nothing', async () => {
  const output = place('twice');
  expect((await run(['--yes', '--path', tree, '--output', output])).code).toBe(0);
  const before = readFileSync(output, 'utf8');
  const again = await run(['--yes', '--path', tree, '--output', output]);
  expect([again.code, again.err]).toEqual([2, expect.stringContaining('exists: choose another place')]);
  expect(readFileSync(output, 'utf8')).toBe(before);
});
