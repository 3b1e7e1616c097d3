import type { Scenario } from '../scenario.ts';
import { changes } from './changes.ts';
import { control } from './control.ts';
import { failover } from './failover.ts';
import { hangs } from './hangs.ts';
import { mounts } from './mounts.ts';
import { restarts } from './restarts.ts';

export const scenarios: readonly Scenario[] = [
  ...control,
  ...restarts,
  ...hangs,
  ...failover,
  ...changes,
  ...mounts,
];
