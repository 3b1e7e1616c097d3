/** The quick part of the faults that `npm run test:faults` runs in full. */
import { wantedKernels } from './faults/kernels.ts';
import { servedProtocols } from './faults/protocols.ts';
import { playAll } from './faults/scenario.ts';
import { scenarios } from './faults/scenarios/index.ts';
import { kernels } from './kit/kernels.ts';

playAll(scenarios, {
  protocols: await servedProtocols(),
  kernels: await wantedKernels(() => kernels.oldestAndNewest()),
  extent: 'slice',
});
