/** The FUSE daemon of the demo and the tests. FuseTree (fuse-tree.ts) forks it and sends it commands over IPC. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { CGO_DATABASE_MS, Departure } from './departure.ts';
import { Faults } from './faults.ts';
import type { DaemonCommand, DaemonReply, DaemonRequest, LeaveSpec, TreeSpec } from './fuse-protocol.ts';
import { makeOperations, type Service } from './fuse-operations.ts';
import { unmountPath } from './mounts.ts';
import { Provider } from './provider.ts';
import { TreeModel } from './tree-model.ts';
import { Usage } from './usage.ts';

const ORPHAN_CHECK_MS = 1000;
const { ENOTCONN } = constants.errno;
/** Decypharr (hanwen) tries to unmount 5 times, 58 ms apart, and detaches a mount that is still busy 1 s later. */
const UNMOUNT_TRIES = 5;
const UNMOUNT_PAUSE_MS = 58;
const DETACH_AFTER_MS = 1000;

interface Mounted {
  readonly mountpoint: string;
  readonly service: Service;
}

const parentPid = process.ppid;
let mounted: Mounted | undefined;

function makeService(spec: TreeSpec, model: TreeModel): Service {
  const faults = new Faults();
  faults.setLatency('/', spec.latency);
  for (const scope of spec.hang) faults.hang(scope);
  const provider = spec.provider ? new Provider(spec.provider) : undefined;
  return { spec, model, faults, usage: new Usage(), provider, departure: undefined };
}

async function mount(mountpoint: string, service: Service): Promise<void> {
  const { default: Fuse } = await import('fuse-native');
  const { spec } = service;
  const options = [
    spec.fsname,
    // fuse-native has no options for these. Appended to fsname after a comma, they reach libfuse as mount options.
    'use_ino,hard_remove,nonempty',
    ...(spec.directIo ? ['direct_io'] : []),
    `entry_timeout=${spec.entryTimeoutSeconds},attr_timeout=${spec.attrTimeoutSeconds}`,
  ].join(',');
  const fuse = new Fuse(mountpoint, makeOperations(service), {
    timeout: false,
    // allow_other is for root only, unless /etc/fuse.conf permits it.
    allowOther: process.getuid?.() === 0,
    defaultPermissions: true,
    fsname: options,
    maxRead: spec.maxRead,
  });
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => (error ? reject(error) : resolve()));
  });
  mounted = { mountpoint, service };
}

function current(): Mounted {
  if (!mounted) throw new Error('not mounted');
  return mounted;
}

function tree(): Service {
  return current().service;
}

/** Tries to unmount several times. If the mount stays busy (open files or folders), detaches it. */
async function unmountPatiently(mountpoint: string): Promise<void> {
  for (let tries = 1; tries <= UNMOUNT_TRIES; tries++) {
    try {
      await unmountPath(mountpoint, false);
      return;
    } catch {
      await delay(UNMOUNT_PAUSE_MS);
    }
  }
  await delay(DETACH_AFTER_MS);
  await unmountPath(mountpoint, true);
}

/** Removes the mount with the order and delays of `manner`. */
async function takeDown(mountpoint: string, { manner, forMs, flushMs }: LeaveSpec): Promise<void> {
  switch (manner) {
    case 'turns':
      await delay(forMs);
      return unmountPath(mountpoint, true);
    case 'hanwen':
      await delay(flushMs);
      return unmountPatiently(mountpoint);
    case 'cgo':
      await unmountPath(mountpoint, true);
      await delay(CGO_DATABASE_MS);
  }
}

/**
 * Shuts down as Decypharr does at SIGTERM. With `backAfterMs` this process then mounts again and keeps the provider's
 * fetched bytes; without, it exits.
 */
async function depart(leave: LeaveSpec): Promise<void> {
  const { mountpoint, service } = current();
  const { model, faults, provider } = service;
  service.departure = new Departure(leave);
  // Held and waiting reads are answered now, as `departure` decides.
  faults.abandon(0);
  provider?.abandon(0);
  if (leave.losesNames) faults.lose('/');
  await takeDown(mountpoint, leave);
  mounted = undefined;
  if (leave.backAfterMs === null) {
    // Disconnect after the reply has been sent.
    setImmediate(() => process.disconnect());
    return;
  }
  // Decypharr serves old descriptors until its process ends. Other daemons close the FUSE connection: ENOTCONN.
  if (leave.manner === 'turns') {
    faults.abandon(-ENOTCONN);
    faults.heal('/');
    faults.fail({ path: '/', errno: ENOTCONN, afterMs: 0, delaysOnce: false });
  }
  await delay(leave.backAfterMs);
  const successor = makeService(service.spec, model);
  await mount(mountpoint, { ...successor, provider });
}

async function obey(command: DaemonCommand): Promise<unknown> {
  switch (command.name) {
    case 'mount': {
      const model = new TreeModel(command.spec);
      for (const change of command.changes) model.apply(change);
      return mount(command.mountpoint, makeService(command.spec, model));
    }
    case 'change': {
      tree().model.apply(command.change);
      return;
    }
    case 'latency': {
      tree().faults.setLatency(command.path, command.latency);
      return;
    }
    case 'hang': {
      tree().faults.hang(command.scope);
      return;
    }
    case 'fail': {
      tree().faults.fail(command.failure);
      return;
    }
    case 'lose': {
      tree().faults.lose(command.path);
      return;
    }
    case 'cut': {
      tree().faults.cut(command.path, command.entries);
      return;
    }
    case 'stall':
      return tree().provider?.stall();
    case 'heal': {
      tree().provider?.resume();
      tree().faults.heal(command.path);
      return;
    }
    case 'counts':
      return tree().faults.counts(command.path);
    case 'usage': {
      const provider = tree().provider?.counts(command.path) ?? { bytes: 0, requests: 0 };
      return { ...tree().usage.counts(command.path), provider };
    }
    case 'resetCounts':
      tree().faults.resetCounts();
      tree().usage.reset();
      return tree().provider?.resetCounts();
    case 'held':
      return tree().faults.held;
    case 'waitHeld':
      return new Promise<void>((resolve) => tree().faults.whenHeld(command.count, resolve));
    case 'leave':
      return depart(command.leave);
    case 'exit':
      process.exit(command.code);
  }
}

function reply(message: DaemonReply): void {
  process.send?.(message);
}

/** The parent is gone and cannot unmount any more: unmount here, then exit. */
function leave(): void {
  if (!mounted) process.exit(0);
  const path = mounted.mountpoint;
  execFile('fusermount', ['-uz', path], (error) => {
    if (!error) process.exit(0);
    execFile('umount', ['-l', path], () => process.exit(0));
  });
}

/**
 * If the parent is killed while one of its threads is stuck in this mount, it stays a zombie and the IPC channel stays
 * open. Then only the state in /proc shows that it is dead.
 */
function parentIsGone(): boolean {
  try {
    const stat = readFileSync(`/proc/${String(parentPid)}/stat`, 'latin1');
    return process.ppid !== parentPid || stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return true;
  }
}

process.on('message', ({ id, command }: DaemonRequest) => {
  obey(command).then(
    (value) => reply({ id, value }),
    (error: unknown) => {
      const { message, code } = error as NodeJS.ErrnoException;
      reply({ id, error: { message, code: code ?? '' } });
    },
  );
});
process.on('disconnect', leave);
process.on('SIGTERM', leave);
// Ctrl-C in the terminal signals the whole process group. Ignore it here: the parent decides when to unmount.
process.on('SIGINT', () => undefined);
setInterval(() => {
  if (parentIsGone()) leave();
}, ORPHAN_CHECK_MS).unref();
