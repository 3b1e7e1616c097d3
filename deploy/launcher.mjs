// The last step of `npm run build`: puts a CommonJS launcher in front of the compiled modules.
//
// libuv fixes the size of its thread pool at the pool's first use, which is Node's ES module loader. A CommonJS launcher
// runs before that and can still set the size that the I/O lanes rely on. It overrides the environment: with fewer
// threads one bad file stops an export, and with io_uring hung reads stop all file I/O.
import { chmodSync, writeFileSync } from 'node:fs';

const dist = new URL('../dist/', import.meta.url);
writeFileSync(new URL('package.json', dist), '{ "type": "commonjs" }\n');
writeFileSync(new URL('app/package.json', dist), '{ "type": "module" }\n');
writeFileSync(
  new URL('main.js', dist),
  `#!/usr/bin/env node
'use strict';
// One thread for each place in the I/O lanes (src/source/lanes.ts) and a few for Node itself.
process.env.UV_THREADPOOL_SIZE = '512';
process.env.UV_USE_IO_URING = '0';
import('./app/main.js').catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
`,
);
chmodSync(new URL('main.js', dist), 0o755);
