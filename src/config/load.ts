/** Reads the configuration. Precedence: flags, environment, file, defaults. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from './config.ts';
import { place, readDocument } from './document.ts';
import {
  ConfigError,
  findingsOf,
  isMapping,
  keyText,
  type Finding,
  type Path,
  type Problem,
} from './problems.ts';
import { resolveSettings } from './resolve.ts';
import { jsonSchema, settingsSchema } from './schema.ts';
import { closest } from './suggest.ts';

/** The settings from the command line; `undefined` for flags that are not given. */
export interface ConfigFlags {
  /** PATH: the folder of one export. It is added to the exports of the file or replaces the path of the one named `name`. */
  readonly path?: string | undefined;
  /** Name of the export of PATH. Default `dfs`. */
  readonly name?: string | undefined;
  readonly config?: string | undefined;
  readonly nfs?: string | undefined;
  readonly smb?: string | undefined;
  readonly admin?: string | undefined;
  /** Applies to the export of PATH; without PATH, to all exports. */
  readonly expectFuse?: false | undefined;
  readonly logLevel?: string | undefined;
}

export interface ConfigInput {
  readonly flags?: ConfigFlags;
  /** Default: process.env. */
  readonly env?: NodeJS.ProcessEnv;
  /** Base of relative paths in flags and variables. Default: the current folder. */
  readonly cwd?: string;
  /** Whether ports below 1024 may be used. Default: true if this process runs as root. */
  readonly root?: boolean;
  /** The configuration is for another machine: folders and secrets are not read, and SMB users are left out. */
  readonly elsewhere?: boolean;
}

/** Settings that environment variables can set. HOLDFAST_CONFIG names the file. */
export const environmentSettings: Readonly<Record<string, readonly string[]>> = {
  HOLDFAST_NFS_LISTEN: ['nfs', 'listen'],
  HOLDFAST_SMB_LISTEN: ['smb', 'listen'],
  HOLDFAST_ADMIN_LISTEN: ['admin', 'listen'],
  HOLDFAST_LOG_LEVEL: ['log', 'level'],
  HOLDFAST_STATE: ['state'],
  HOLDFAST_IDENTITY: ['identity'],
  HOLDFAST_SECRET_FILE: ['secretFile'],
};
const configVariable = 'HOLDFAST_CONFIG';

/** One setting from outside the file. */
interface Override {
  readonly origin: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

const defaultExportName = 'dfs';

/** Throws ConfigError, which lists every problem found. Reads files synchronously: for start-up and reload only. */
export function loadConfig(input: ConfigInput = {}): Config {
  const {
    flags = {},
    env = process.env,
    cwd = process.cwd(),
    root = process.getuid?.() === 0,
    elsewhere = false,
  } = input;
  const problems: Problem[] = misspelledVariables(env);
  const named = flags.config ?? nonEmpty(env[configVariable]);
  const file = named === undefined ? undefined : resolve(cwd, named);
  const text =
    file === undefined
      ? ''
      : readText(file, flags.config === undefined ? configVariable : '--config', problems);
  const document = readDocument(text, named ?? '');
  problems.push(...document.problems);
  const raw = document.value;
  const overrides = isMapping(raw) ? overridesOf(flags, env, raw) : [];
  if (isMapping(raw)) for (const { path, value } of overrides) place(raw, path, value);

  const overriding = (path: Path) =>
    overrides.findLast((one) => one.path.every((part, index) => part === path[index]));
  const report = ({ path, at, message }: Finding) => {
    const origin = overriding(path)?.origin ?? (file === undefined ? '' : document.locate(path, at));
    problems.push({ origin, key: keyText(path), message });
  };
  // Do not validate a text that could not be read or parsed: the findings would mislead.
  if (problems.length > 0) throw new ConfigError(problems);
  const parsed = settingsSchema.safeParse(raw);
  if (!parsed.success) {
    for (const finding of findingsOf(parsed.error.issues, raw, jsonSchema())) report(finding);
    throw new ConfigError(problems);
  }
  const fromFile = (path: Path) => overriding(path) === undefined;
  const { config, findings } = resolveSettings(parsed.data, { env, cwd, root, elsewhere, file, fromFile });
  for (const finding of findings) report(finding);
  if (problems.length > 0) throw new ConfigError(problems);
  return freeze(config);
}

const nonEmpty = (text: string | undefined) => (text === '' ? undefined : text);

function readText(file: string, origin: string, problems: Problem[]): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = `${file} cannot be read (${code ?? 'unknown error'}); expected a YAML file`;
    problems.push({ origin, key: '', message });
    return '';
  }
}

/** The settings from environment and flags, in order of precedence: the last one wins. */
function overridesOf(flags: ConfigFlags, env: NodeJS.ProcessEnv, raw: Record<string, unknown>): Override[] {
  const overrides: Override[] = [];
  for (const [variable, path] of Object.entries(environmentSettings)) {
    const value = nonEmpty(env[variable]);
    if (value !== undefined) overrides.push({ origin: variable, path, value });
  }
  const flag = (origin: string, path: readonly string[], value: unknown) => {
    if (value !== undefined) overrides.push({ origin, path, value });
  };
  const name = flags.name ?? defaultExportName;
  flag(
    flags.name === undefined ? 'PATH' : '--name',
    ['exports', name],
    flags.path === undefined ? undefined : {},
  );
  if (flags.path !== undefined) {
    // Keep the other settings that the file has for that export.
    const existing = isMapping(raw.exports) ? raw.exports[name] : undefined;
    if (isMapping(existing)) overrides.pop();
    flag('PATH', ['exports', name, 'path'], flags.path);
  }
  const exports = flags.path !== undefined ? [name] : isMapping(raw.exports) ? Object.keys(raw.exports) : [];
  for (const one of exports) flag('--no-expect-fuse', ['exports', one, 'expectFuse'], flags.expectFuse);
  flag('--nfs', ['nfs', 'listen'], flags.nfs);
  flag('--smb', ['smb', 'listen'], flags.smb);
  flag('--admin', ['admin', 'listen'], flags.admin);
  flag('--log-level', ['log', 'level'], flags.logLevel);
  return overrides;
}

/**
 * Reports variables whose name is nearly one of ours. Other names that begin with HOLDFAST_ are ignored: Kubernetes sets
 * HOLDFAST_PORT, HOLDFAST_SERVICE_HOST and more if there is a service of that name.
 */
function misspelledVariables(env: NodeJS.ProcessEnv): Problem[] {
  const known = [...Object.keys(environmentSettings), configVariable];
  return Object.keys(env).flatMap((variable): Problem[] => {
    if (!variable.startsWith('HOLDFAST_') || known.includes(variable)) return [];
    const rest = variable.slice('HOLDFAST_'.length);
    if (/(^|_)(PORT|SERVICE)(_|$)/.test(rest)) return [];
    const guess = closest(
      rest,
      known.map((one) => one.slice('HOLDFAST_'.length)),
    );
    if (guess === undefined) return [];
    const message = `unknown variable (did you mean HOLDFAST_${guess}?); expected one of ${known.join(', ')}`;
    return [{ origin: variable, key: '', message }];
  });
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}
