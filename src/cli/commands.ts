import { bench } from './bench.ts';
import { check } from './check.ts';
import type { Command } from './command.ts';
import { demo } from './demo.ts';
import { doctor } from './doctor.ts';
import { forget } from './forget.ts';
import { init } from './init.ts';
import { mountOptions } from './mount-options.ts';
import { mount } from './mount.ts';
import { run } from './run.ts';
import { serve } from './serve.ts';
import { status } from './status.ts';

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [
  serve,
  run,
  demo,
  init,
  check,
  mountOptions,
  mount,
  status,
  forget,
  doctor,
  bench,
];
