/** Every fault with its realistic duration. A short part runs with the other tests (test/faults-slice.test.ts). */
import { kernels } from '../kit/kernels.ts';
import { wantedKernels } from './kernels.ts';
import { servedProtocols } from './protocols.ts';
import { playAll } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';

playAll(scenarios, {
  protocols: await servedProtocols(),
  kernels: await wantedKernels(() => kernels.every()),
  extent: 'full',
});
