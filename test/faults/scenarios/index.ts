import type { Scenario } from '../scenario.ts';
import { changes } from './changes.ts';
import { failover } from './failover.ts';
import { hangs } from './hangs.ts';
import { restarts } from './restarts.ts';

export const scenarios: readonly Scenario[] = [...restarts, ...hangs, ...failover, ...changes];
