/** Bounds of everything below the tree. Times are milliseconds. */
export const SourceLimits = {
  /** Threads of libuv's pool that the launcher asks for; the lanes share them (deploy/launcher.mjs). */
  poolThreads: 512,
  /** Threads never given to a lane: name resolution, and what Node does for itself. */
  spareThreads: 4,
  /** Fewest threads of one export, and so the most exports: (poolThreads - spareThreads) / threadsPerExport. */
  threadsPerExport: 16,
  /** Calls of one lane that run at once and are not slow. The other threads of a lane are for what hangs. */
  concurrency: 96,
  /** Calls that may wait for a place in one lane. */
  queue: 8_192,
  /** A call that waits behind others is given up this long after their deadline: they decide first. */
  queueSlack: 10_000,
  metadataDeadline: 60_000,
  /** Longer than Decypharr's own limit of 120 s for one read: whoever waits costs nobody else anything. */
  readDeadline: 150_000,
  probeDeadline: 5_000,
  /** close() sends FLUSH and may block; nobody waits for it. */
  closeDeadline: 60_000,
  /** Calls for one file, or in one directory, that may run at once when it answers quickly. */
  callsPerKey: 8,
  /** The same when it answers, but slowly. */
  callsPerSlowKey: 4,
  /** The same where reads go through the page cache: hung ones fill FUSE's background queue, which holds 12. */
  bufferedPerFile: 2,
  /** A call that runs for longer is slow: its file or directory gets no further thread until it answers. */
  slowCall: 1_000,
  /** For so long after a quick answer a file or directory may take one of the last threads. */
  provenFor: 10_000,
  /** Files and directories whose standing is remembered in one lane. */
  standings: 16_384,
  /** Calls that may wait for one file or directory. */
  queuePerKey: 1_024,
  /** A direct read is split into parts of this size at most, bytes: measured on Decypharr, four at once are fastest. */
  directPart: 256 * 1024,
  smallestPart: 64 * 1024,
  /** Descriptors open at once in one export; the least recently used that nobody reads from is closed beyond it. */
  descriptors: 256,
  /** A file that nobody has read for so long is closed: daemons fetch ahead for as long as it is open. */
  idleProbe: 150,
  /** The same for one that was read as a stream: a player pauses for 5 to 10 s between its bursts. */
  idleStream: 10_500,
  /** Bytes read in order after which a reader is a stream. */
  streamBytes: 8 * 1024 * 1024,
  /** Reads this near to each other, in bytes, are in order: clients send them out of order. */
  streamWindow: 8 * 1024 * 1024,
  sweepInterval: 50,
  /** An opened directory that nobody works with is closed after this; a daemon that unmounts must not find it busy. */
  footholdIdle: 5,
  /** And is opened anew after this, however much it is used. */
  footholdAge: 250,
  footholds: 64,
  /** How long news that may be those of a leaving source is held before it is believed. Decypharr needs up to 2 s to leave. */
  verdict: 5_000,
  /** The least time over which an error must be repeated. */
  quickVerdict: 20,
  /** A call that failed after this long is believed when others are well: asked again it would take as long once more. */
  slowFailure: 30_000,
  /** Pauses before bytes that may be a hole are asked for again: a daemon that nobody holds open leaves within this time. */
  zeroPauses: [20, 60, 120],
  /** Regions of files whose zeros were confirmed. */
  zeroRegions: 4_096,
  /** Pauses before a call is made again that brought bad news; the last one repeats. */
  pauses: [20, 60, 150, 250, 500],
  /** Files read lately, and names seen lately, that are asked for a second opinion. */
  opinions: 4_096,
  opinionAge: 600_000,
  opinionBytes: 4_096,
  opinionDeadline: 2_000,
  /** What came late is kept for whoever asks again, bytes and time. */
  lateBytes: 64 * 1024 * 1024,
  lateAge: 30_000,
  /** A read that took longer is kept: the request that it was for may have been answered with "come again". */
  lateRead: 500,
  /** Objects remembered for having failed, and how long they are left alone (it doubles each time). */
  quarantined: 10_000,
  coolDown: 30_000,
  coolDownMax: 300_000,
  /** The same for an object that answers, but with an error. */
  errorCoolDown: 5_000,
  errorCoolDownMax: 120_000,
  /** The one try after a cool-down keeps its reader waiting no longer than this; then it goes on by itself. */
  retryPatience: 1_000,
  /** But only so many readers at once wait for that long, and the others for a glance: a scan must not crawl. */
  patientRetries: 2,
  retryGlance: 150,
  /** Bytes of a file that share a verdict: what lies elsewhere in it may be well. */
  verdictRegion: 1024 * 1024,
  watchInterval: 500,
  /** How often the source itself is asked while it is believed to be live. */
  probeInterval: 2_000,
  /** Mounts below the path of one export that are looked after. */
  mounts: 256,
  /** Largest number of entries of one directory that is served. */
  directoryEntries: 2_000_000,
} as const;
