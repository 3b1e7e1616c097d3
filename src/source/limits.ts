/** Bounds of everything below the tree. Times are milliseconds. */
export const SourceLimits = {
  /** Threads of libuv's pool that the launcher asks for; the lanes share them (deploy/launcher.mjs). */
  poolThreads: 128,
  /** Threads never given to a lane: name resolution, and what Node does for itself. */
  spareThreads: 4,
  /** Calls that may wait for a place in one lane. */
  queue: 8192,
  metadataDeadline: 60_000,
  /** A cold file takes many seconds to give its first byte. */
  dataDeadline: 60_000,
  probeDeadline: 5_000,
  /** close() sends FLUSH and may block; nobody waits for it. */
  closeDeadline: 60_000,
  /** Reads of one file in flight: FUSE's background queue holds 12, and hung ones are never given back. */
  readsPerFile: 4,
  /** Reads of one file that may wait behind those. */
  queuePerFile: 1024,
  /** Descriptors kept open with no one reading: a fresh open would drop the kernel's cached pages. */
  idleDescriptors: 256,
  idleTime: 60_000,
  /** A buffered read that takes longer is slow; when this many are at once, others go past them directly. */
  slowRead: 1_000,
  slowBuffered: 3,
  /** Direct reads are split into parts of this size, bytes: twice what the kernel asks FUSE for at a time. */
  directPart: 256 * 1024,
  /** Lookups and listings in one directory at once: one that hangs must not take every metadata thread. */
  metadataPerDirectory: 8,
  /** Objects remembered for having missed their deadline, and how long they are left alone (it doubles each time). */
  quarantined: 10_000,
  coolDown: 30_000,
  coolDownMax: 300_000,
  watchInterval: 500,
  /** How often the source itself is asked while it is believed to be live. */
  probeInterval: 2_000,
  /** Largest number of entries of one directory that is served. */
  directoryEntries: 2_000_000,
} as const;
