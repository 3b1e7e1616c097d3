/** The same faults before the servers that one would otherwise use: a table to compare with, not a test of them. */
import { peers } from './peers.ts';
import { wantedProtocols } from './protocols.ts';
import { playAll } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';

playAll(scenarios, wantedProtocols(), process.env['FAULTS_EXTENT'] === 'slice' ? 'slice' : 'full', peers());
