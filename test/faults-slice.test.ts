/** The quick ones of the faults that `npm run test:faults` runs in full. */
import { servedProtocols } from './faults/protocols.ts';
import { playAll } from './faults/scenario.ts';
import { scenarios } from './faults/scenarios/index.ts';

playAll(scenarios, await servedProtocols(), 'slice');
