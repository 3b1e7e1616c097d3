import { defineConfig } from 'vitest/config';

// Tests that use the source in their own process hang calls on purpose; workers inherit this before they start.
process.env['UV_THREADPOOL_SIZE'] = '512';
process.env['UV_USE_IO_URING'] = '0';

// What the kit says once for each run (test/kit/kernels-memory.ts).
process.env['HOLDFAST_RUN'] ??= `${process.pid} ${Date.now()}`;

const source = (path: string) => new URL(path, import.meta.url).pathname;
const alias = {
  '@holdfast/nfs-rpc': source('protocols/nfs-rpc/src/index.ts'),
  '@tsmb2/server': source('protocols/smb2/src/index.ts'),
};

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: { name: 'unit', include: ['src/**/*.test.ts', 'protocols/*/src/**/*.test.ts'] },
      },
      {
        // Real clients, real FUSE, real processes, started from dist/, after the unit tests.
        resolve: { alias },
        test: {
          name: 'system',
          include: ['test/*.test.ts'],
          // They mostly wait for kernels, timeouts and daemons.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'faults',
          include: ['test/faults/faults.test.ts'],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 120_000,
        },
      },
      {
        // The real Decypharr, by its path in DECYPHARR.
        resolve: { alias },
        test: {
          name: 'decypharr',
          include: ['test/decypharr/*.test.ts'],
          fileParallelism: false,
          testTimeout: 1_800_000,
          hookTimeout: 120_000,
        },
      },
      {
        // smbtorture of a newer Debian, fetched when it is not here.
        test: { name: 'torture', include: ['test/torture/*.test.ts'], testTimeout: 3_600_000 },
      },
      {
        // The container images, and a node's mounts by SMB.
        resolve: { alias },
        test: {
          name: 'image',
          include: ['test/image/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        resolve: { alias },
        test: { name: 'peers', include: ['test/faults/peers.test.ts'], hookTimeout: 120_000 },
      },
      {
        resolve: { alias },
        test: { name: 'bench', include: ['bench/**/*.bench.ts'], hookTimeout: 120_000 },
      },
      {
        resolve: { alias },
        test: {
          name: 'zoo',
          include: ['test/zoo/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // The status page in chromium.
        resolve: { alias },
        test: {
          name: 'browser',
          include: ['test/browser/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'soak',
          include: ['test/faults/*.soak.ts'],
          fileParallelism: false,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
