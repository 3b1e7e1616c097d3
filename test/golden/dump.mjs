// Prints, as JSON, the identity of every object below a mountpoint. Runs as a separate process, with modules from dist/.
import { Source } from '../../dist/app/source/source.js';
import { Identity } from '../../dist/app/tree/identity.js';
import { Tree } from '../../dist/app/tree/tree.js';

const source = new Source({ path: process.argv[2], expectFuse: true });
await source.start();
const tree = new Tree({ identity: new Identity('holdfast', 'dfs'), source, times: 'auto' });

const rows = {};
async function walk(node, cookie) {
  const attributes = await tree.attributes(node);
  rows[node.path || '/'] = {
    id: node.id.toString(16).padStart(16, '0'),
    handle: node.handle.toString('hex'),
    cookie,
    created: `${attributes.creation.seconds}.${String(attributes.creation.nanoseconds).padStart(9, '0')}`,
    modified: `${attributes.mtime.seconds}.${String(attributes.mtime.nanoseconds).padStart(9, '0')}`,
    changed: `${attributes.ctime.seconds}.${String(attributes.ctime.nanoseconds).padStart(9, '0')}`,
    links: attributes.links,
  };
  if (node.kind !== 'directory') return;
  const snapshot = await tree.list(node);
  for (const [i, { name }] of snapshot.nodes.entries())
    await walk(await tree.lookup(node, name), snapshot.cookieAt(i));
}
await walk(tree.root, 0);
const { fsid, volumeSerial } = tree.identity;
console.log(JSON.stringify({ fsid, volumeSerial, objects: rows }, null, 2));
tree.close();
source.close();
