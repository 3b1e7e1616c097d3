/** The same faults with other servers. The result is a table for comparison, not a test of those servers. */
import { kernels } from '../kit/kernels.ts';
import { wantedKernels } from './kernels.ts';
import { peers } from './peers.ts';
import { wantedProtocols } from './protocols.ts';
import { playAll } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';

playAll(scenarios, {
  protocols: wantedProtocols(),
  kernels: await wantedKernels(async () => [await kernels.get()]),
  extent: process.env['FAULTS_EXTENT'] === 'slice' ? 'slice' : 'full',
  peers: peers(),
});
