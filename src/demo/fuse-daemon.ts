/** The FUSE daemon of the demo and the tests: forked by FuseTree (fuse-tree.ts), told what to do over IPC. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Faults } from './faults.ts';
import type { DaemonCommand, DaemonReply, DaemonRequest, TreeSpec } from './fuse-protocol.ts';
import { makeOperations } from './fuse-operations.ts';
import { TreeModel } from './tree-model.ts';

const ORPHAN_CHECK_MS = 1000;

interface Mounted {
  readonly mountpoint: string;
  readonly model: TreeModel;
  readonly faults: Faults;
}

const parentPid = process.ppid;
let mounted: Mounted | undefined;

async function mount(mountpoint: string, spec: TreeSpec, model: TreeModel): Promise<void> {
  const { default: Fuse } = await import('fuse-native');
  const faults = new Faults();
  faults.setLatency('/', spec.latency);
  for (const scope of spec.hang) faults.hang(scope);
  const options = [
    spec.fsname,
    // fuse-native knows neither of these, and libfuse takes them wherever a comma puts them.
    'use_ino,hard_remove,nonempty',
    `entry_timeout=${spec.entryTimeoutSeconds},attr_timeout=${spec.attrTimeoutSeconds}`,
  ].join(',');
  const fuse = new Fuse(mountpoint, makeOperations(spec, model, faults), {
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
  mounted = { mountpoint, model, faults };
}

function tree(): Mounted {
  if (!mounted) throw new Error('not mounted');
  return mounted;
}

async function obey(command: DaemonCommand): Promise<unknown> {
  switch (command.name) {
    case 'mount': {
      const model = new TreeModel(command.spec);
      for (const change of command.changes) model.apply(change);
      return mount(command.mountpoint, command.spec, model);
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
      tree().faults.fail(command.scope, command.errno, command.afterMs);
      return;
    }
    case 'heal': {
      tree().faults.heal(command.path);
      return;
    }
    case 'counts':
      return tree().faults.counts(command.path);
    case 'resetCounts': {
      tree().faults.resetCounts();
      return;
    }
    case 'held':
      return tree().faults.held;
    case 'waitHeld':
      return new Promise<void>((resolve) => tree().faults.whenHeld(command.count, resolve));
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
