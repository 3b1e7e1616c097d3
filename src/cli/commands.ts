import { check } from './check.ts';
import type { Command } from './command.ts';
import { demo } from './demo.ts';
import { mountOptions } from './mount-options.ts';
import { mount } from './mount.ts';
import { run } from './run.ts';
import { serve } from './serve.ts';

/** Every command there is, in the order in which the help names them. */
export const commands: readonly Command[] = [serve, run, demo, check, mountOptions, mount];
