/** `holdfast mount` as a DaemonSet runs it, by both protocols, and with a mount that dies. */
import { afterAll, beforeAll, it } from 'vitest';
import { playChanges, playDeath, PlayedNode, playEnd } from '../kit/played-node.ts';

let node: PlayedNode;
beforeAll(async () => {
  node = await PlayedNode.start();
}, 120_000);
afterAll(() => node.dispose());

it.each(['nfs', 'smb'] as const)(
  'keeps a consumer going over %s, and takes the mount away at the end',
  async (protocol) => {
    await playChanges(node, protocol);
    await playEnd(node, protocol);
  },
);

it('replaces a mount whose handles died, and none that only waits', () => playDeath(node));
