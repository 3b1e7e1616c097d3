/** The FUSE daemon of the demo and the tests: forked by FuseTree (fuse-tree.ts), told what to do over IPC. */
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
/** How Decypharr unmounts (hanwen): so often, so long apart, and a busy mount is detached so long after that. */
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
    // fuse-native knows neither of these, and libfuse takes them wherever a comma puts them.
    'use_ino,hard_remove,nonempty',
    ...(spec.directIo ? ['direct_io'] : []),
    `entry_timeout=${spec.entryTimeoutSeconds},attr_timeout=${spec.attrTimeoutSeconds}`,
  ].join(',');
  const fuse = new Fuse(mountpoint, makeOperations(service), {
    timeout: false,
    // Only root may, unless /etc/fuse.conf says otherwise.
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

/** Unmounts as long as nobody has a file or folder open; one that is busy to the end is detached. */
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

/** Takes the mount away, in this manner's order and time. */
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
 * Leaves in good order, as Decypharr does. With `backAfterMs` this process mounts again, with what it has on its disk;
 * else it ends.
 */
async function depart(leave: LeaveSpec): Promise<void> {
  const { mountpoint, service } = current();
  const { model, faults, provider } = service;
  service.departure = new Departure(leave);
  // What is on its way is answered now, as the departure says.
  faults.abandon(0);
  provider?.abandon(0);
  if (leave.losesNames) faults.lose('/');
  await takeDown(mountpoint, leave);
  mounted = undefined;
  if (leave.backAfterMs === null) {
    // Once the reply is on its way.
    setImmediate(() => process.disconnect());
    return;
  }
  // Decypharr answers old descriptors as before for as long as its process lives; others close the connection.
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

/** Nobody is left who could unmount: do it here. */
function leave(): void {
  if (!mounted) process.exit(0);
  const path = mounted.mountpoint;
  execFile('fusermount', ['-uz', path], (error) => {
    if (!error) process.exit(0);
    execFile('umount', ['-l', path], () => process.exit(0));
  });
}

/**
 * A parent that was killed with a thread stuck in this very mount stays a zombie and keeps the IPC channel open:
 * only its state shows that it is gone.
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
// A Ctrl-C in the terminal reaches the whole group; the parent decides when the mount ends.
process.on('SIGINT', () => undefined);
setInterval(() => {
  if (parentIsGone()) leave();
}, ORPHAN_CHECK_MS).unref();
