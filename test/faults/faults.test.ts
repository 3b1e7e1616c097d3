/** Every fault as long as it lasts in life. A slice of it runs with the other tests (test/faults-slice.test.ts). */
import { servedProtocols } from './protocols.ts';
import { playAll } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';

playAll(scenarios, await servedProtocols(), 'full');
