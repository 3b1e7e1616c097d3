import { randomBytes } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { ConfigError, isRange, loadConfig, privateRanges } from '../config/index.ts';
import { ExitCode, UsageError, type Command, type Flag, type Invocation, type Terminal } from './command.ts';
import { cannotWrite } from './file-problem.ts';

/** A question of init; also a flag, which answers it. */
interface Question {
  readonly flag: string;
  readonly value: string;
  readonly text: string;
  readonly fallback: () => string;
  /** What is wrong with an answer; undefined if nothing is. */
  readonly problem: (answer: string) => string | undefined;
}

const questions = [
  {
    flag: 'path',
    value: 'FOLDER',
    text: 'Which folder is the FUSE tree mounted at?',
    fallback: () => '/mnt/dfs',
    problem: problemOfPath,
  },
  {
    flag: 'clients',
    value: 'RANGES',
    text: 'Who may connect? Addresses and CIDR ranges, with commas',
    fallback: () => privateRanges.join(','),
    problem: (answer) => {
      const wrong = rangesOf(answer).find((range) => !isRange(range));
      return wrong === undefined ? undefined : `${wrong} is no address or CIDR range such as 10.0.0.0/8`;
    },
  },
  {
    flag: 'owner',
    value: 'UID:GID',
    text: 'Whose files are they, as UID:GID? SMB clients and squashed NFS clients act as these',
    fallback: () => '1000:1000',
    problem: (answer) =>
      /^\d{1,10}:\d{1,10}$/.test(answer) && answer.split(':').every((id) => Number(id) <= highestId)
        ? undefined
        : `${answer} is not UID:GID such as 1000:1000`,
  },
  {
    flag: 'user',
    value: 'NAME',
    text: 'A user for SMB, or "guest" for everybody without a password (Windows 11 refuses guests)',
    fallback: () => 'guest',
    problem: (answer) =>
      /^[A-Za-z0-9._-]{1,64}$/.test(answer)
        ? undefined
        : `${answer} is no name of 1 to 64 letters, digits, ".", "_" and "-"`,
  },
  {
    flag: 'identity',
    value: 'TEXT',
    text: 'A name for this gateway, the same on every gateway that may stand in for it',
    fallback: () => hostname(),
    problem: (answer) => (answer.length <= 255 ? undefined : 'expected a text of at most 255 characters'),
  },
] as const satisfies readonly Question[];

const highestId = 4294967294;

const rangesOf = (text: string) => text.split(/[\s,]+/).filter((range) => range !== '');

/** As serve would refuse the folder. */
function problemOfPath(answer: string): string | undefined {
  try {
    loadConfig({ flags: { path: answer }, env: {} });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ message }) => message).join('; ');
    throw error;
  }
  return undefined;
}

type Answers = Readonly<Record<(typeof questions)[number]['flag'], string>>;

const flags: Flag[] = [
  ...questions.map(({ flag, value, text }) => ({ name: flag, value, help: text })),
  { name: 'output', value: 'FILE', help: 'the file to write (default holdfast.yaml)' },
  { name: 'yes', help: 'ask nothing: use the suggested value for each flag that is not given' },
];

export const init: Command = {
  name: 'init',
  usage: '[options]',
  summary: 'write a configuration, from five questions or from flags',
  description: `Writes a configuration that check accepts, and beside it the files with its secrets, readable only for their
owner: the secret of the handles and, for a user, a password. A flag answers its question. Existing files are
not overwritten.`,
  positionals: { names: [], required: 0 },
  flags,
  examples: [
    ['holdfast init', 'asks the questions'],
    ['holdfast init --yes --path /mnt/dfs --user media --output /etc/holdfast/holdfast.yaml', 'asks nothing'],
  ],

  async run(invocation, terminal) {
    const output = resolve(invocation.text('output') ?? 'holdfast.yaml');
    refuseExisting(output);
    checkWritable(output);
    const answers = await answersOf(invocation, terminal);
    const files = filesOf(answers, output);
    for (const { path } of files) refuseExisting(path);
    const written: string[] = [];
    try {
      for (const { path, text, mode } of files) {
        writeFileSync(path, text, { flag: 'wx', mode });
        written.push(path);
        chmodSync(path, mode);
      }
      loadConfig({ flags: { config: output }, env: {} });
    } catch (error) {
      for (const path of written) rmSync(path, { force: true });
      if (error instanceof ConfigError) throw new UsageError(`${error.message}\nnothing was written`);
      throw error;
    }
    for (const { path, what } of files) terminal.out(`${path}  ${what}\n`);
    terminal.out(`\nNext:\n  holdfast doctor --config ${output}\n  holdfast serve --config ${output}\n`);
    return ExitCode.done;
  },
};

function refuseExisting(path: string): void {
  if (existsSync(path)) throw new UsageError(`${path} exists: choose another place with --output FILE`);
}

function checkWritable(output: string): void {
  try {
    accessSync(`${dirname(output)}/.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UsageError(`--output: ${cannotWrite(output, error)}`, { cause: error });
  }
}

async function answersOf(invocation: Invocation, terminal: Terminal): Promise<Answers> {
  const given: Record<string, string> = {};
  // Refuse the flags before the first question.
  for (const { flag, problem } of questions) {
    const answer = invocation.text(flag);
    const wrong = answer === undefined ? undefined : problem(answer);
    if (wrong !== undefined) throw new UsageError(`--${flag}: ${wrong}`);
    if (answer !== undefined) given[flag] = answer;
  }
  const open = questions.filter(({ flag }) => given[flag] === undefined);
  const asks = !invocation.has('yes') && terminal.ask !== undefined;
  if (open.length > 0 && !asks && !invocation.has('yes'))
    terminal.err('no terminal to ask at: each question gets its suggested answer, as with --yes\n');
  for (const question of open)
    given[question.flag] = asks ? await askUntilRight(question, terminal) : suggestionOf(question);
  return given as unknown as Answers;
}

function suggestionOf({ flag, fallback, problem }: Question): string {
  const suggestion = fallback();
  const wrong = problem(suggestion);
  if (wrong !== undefined) throw new UsageError(`--${flag} is needed: the suggested ${wrong}`);
  return suggestion;
}

async function askUntilRight({ text, fallback, problem }: Question, terminal: Terminal): Promise<string> {
  const suggestion = fallback();
  for (;;) {
    const answer = (await terminal.ask!(`${text} [${suggestion}] `)).trim() || suggestion;
    const wrong = problem(answer);
    if (wrong === undefined) return answer;
    terminal.err(`${wrong}\n`);
  }
}

interface WrittenFile {
  readonly path: string;
  readonly what: string;
  readonly text: string;
  readonly mode: number;
}

function filesOf({ path, clients, owner, user, identity }: Answers, output: string): WrittenFile[] {
  const [uid = '', gid = ''] = owner.split(':');
  const place = (name: string) => join(dirname(output), name);
  const base = basename(output).replace(/\.ya?ml$/, '');
  const secret = `${base}.secret`;
  const password = `${base}.${user}.password`;
  const list = rangesOf(clients);
  const quoted = (text: string) => JSON.stringify(text);
  const smb =
    user === 'guest'
      ? '    smb: { guest: true } # everybody whom clients allows, without a password'
      : `    smb: { users: [{ name: ${quoted(user)}, passwordFile: ${quoted(password)} }] }`;
  const yaml = `# Written by holdfast init. Every setting: deploy/CONFIGURATION.md. After a change: holdfast check ${basename(output)}
exports:
  dfs: # NFS path /dfs, SMB share "dfs"
    path: ${quoted(resolve(path))}
    clients: [${list.map(quoted).join(', ')}]
    uid: ${uid}
    gid: ${gid}
${smb}
identity: ${quoted(identity)} # the same, with the same secret, on every gateway that may stand in for this one
secretFile: ${quoted(secret)}
`;
  const files = [
    { path: output, what: 'the configuration', text: yaml, mode: 0o644 },
    {
      path: place(secret),
      what: 'the secret of its handles',
      text: `${randomBytes(32).toString('hex')}\n`,
      mode: 0o600,
    },
  ];
  if (user === 'guest') return files;
  const text = `${randomBytes(12).toString('base64url')}\n`;
  return [...files, { path: place(password), what: `the password of ${user}`, text, mode: 0o600 }];
}
