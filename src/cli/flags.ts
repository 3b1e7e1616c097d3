/** Flags that several commands share, and their conversion to settings. */
import { isIPv6 } from 'node:net';
import { exportNameRule, isExportName, parseEndpoint, type ConfigFlags } from '../config/index.ts';
import { UsageError, type Flag, type Invocation } from './command.ts';

export const exportFlags: readonly Flag[] = [
  { name: 'name', value: 'NAME', help: 'what clients mount: NFS path /NAME, SMB share NAME (default dfs)' },
  {
    name: 'config',
    value: 'FILE',
    help: 'YAML file with all settings (see deploy/config.example.yaml)',
  },
];

export const listenFlags: readonly Flag[] = [
  { name: 'nfs', value: 'HOST:PORT', help: 'listen for NFS (default 0.0.0.0:2049; 12049 when not root)' },
  { name: 'smb', value: 'HOST:PORT', help: 'listen for SMB (default 0.0.0.0:445; 1445 when not root)' },
];

export const adminAndLogFlags: readonly Flag[] = [
  {
    name: 'admin',
    value: 'HOST:PORT',
    help: 'listen for metrics and health over HTTP (default 127.0.0.1:9445)',
  },
  { name: 'log-level', value: 'LEVEL', help: 'fatal, error, warn, info (default), debug, trace or silent' },
];

export const serverFlags: readonly Flag[] = [...listenFlags, ...adminAndLogFlags];

export const pidFileFlag: Flag = {
  name: 'pid-file',
  value: 'FILE',
  help: 'write the process id to FILE while serving; a successor writes its own',
};

/** @param fallback seconds. */
export const drainFlag = (fallback: number): Flag => ({
  name: 'drain-timeout',
  value: 'SECONDS',
  help: `how long to wait for running requests at the end (default ${fallback})`,
});

const longestTimeout = 3600;

/** The value of a flag that is a time in seconds, at least `least`. */
export function seconds(invocation: Invocation, flag: string, fallback: number, least = 0): number {
  const text = invocation.text(flag);
  if (text === undefined) return fallback;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= longestTimeout))
    throw new UsageError(`--${flag}: ${text} is not a number of seconds from ${least} to ${longestTimeout}`);
  return value;
}

/** The value of --server: `HOST`, `HOST:PORT`, `[v6]:PORT`, or an IPv6 address alone, with or without brackets. */
export function serverOf(text: string): { host: string; port?: number } {
  const endpoint = parseEndpoint(text);
  if (endpoint) return endpoint;
  const alone = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (/^[\w.-]+$/.test(text) || isIPv6(alone)) return { host: alone };
  throw new UsageError(`--server: ${text} is neither HOST nor HOST:PORT`);
}

/** The value of --name for an export of another machine. */
export function exportNameOf(invocation: Invocation): string {
  const name = invocation.text('name') ?? 'dfs';
  if (!isExportName(name))
    throw new UsageError(`--name: ${JSON.stringify(name)} is not the name of an export: ${exportNameRule}`);
  return name;
}

export function configFlags(invocation: Invocation, path: string | undefined): ConfigFlags {
  if (path === undefined && invocation.has('name'))
    throw new UsageError('--name needs PATH: it names its export');
  return {
    path,
    name: invocation.text('name'),
    config: invocation.text('config'),
    nfs: invocation.text('nfs'),
    smb: invocation.text('smb'),
    admin: invocation.text('admin'),
    logLevel: invocation.text('log-level'),
    expectFuse: invocation.has('no-expect-fuse') ? false : undefined,
  };
}
