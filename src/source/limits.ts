/** Limits of the source layer. Times are milliseconds. */
export const SourceLimits = {
  /** Size of libuv's thread pool, set by deploy/launcher.mjs. The lanes share these threads. */
  poolThreads: 512,
  /** Threads outside the lanes: for name resolution and Node's own work. */
  spareThreads: 4,
  /** Minimum threads of one export. Limits the exports to (poolThreads - spareThreads) / threadsPerExport. */
  threadsPerExport: 16,
  /** The most running calls of one lane that are not slow. The lane's other threads are for calls that hang. */
  concurrency: 96,
  /** Calls that may wait for a place in one lane. */
  queue: 8_192,
  /** A queued call fails this long after the deadline of the calls before it, so that these fail first. */
  queueSlack: 10_000,
  /** The most worker threads, and the most of them that run at once. Hung ones do not count as running. */
  workers: 6,
  workersAtOnce: 2,
  /** If this many workers hang in one mount, its calls go by the lanes. */
  workersPerMount: 2,
  /** Requests that may wait for a worker. */
  workerQueue: 256,
  /**
   * A worker without progress for this long is put aside, and a request that has waited for a worker for this long goes by the
   * lanes. Progress is checked every `workerInterval`; late checks, on a busy machine, do not count.
   */
  workerPatience: 200,
  workerInterval: 50,
  /** The start of a source waits no longer for the first worker. */
  workerStart: 1_000,
  /** An idle worker ends after this long, as it takes some ten megabytes. */
  workerIdle: 60_000,
  /** A lookup by a worker that takes longer is slow: then parallel lookups by the lanes are faster. */
  slowLook: 3,
  /** After this many slow lookups in a row, only the lanes are used for `slowLooksFor`. */
  slowLooks: 3,
  slowLooksFor: 2_000,
  metadataDeadline: 60_000,
  /** Longer than Decypharr's own limit of 120 s for one read. A waiting read does not delay other files. */
  readDeadline: 150_000,
  probeDeadline: 5_000,
  /** close() sends FLUSH and may block; no request waits for it. */
  closeDeadline: 60_000,
  /** The most parallel calls for one file, or in one directory, that answers quickly. */
  callsPerKey: 8,
  /** The same for reading ahead: enough to keep a daemon busy that takes 10 ms for each call. */
  callsAhead: 24,
  /** The same for one that answers slowly. */
  callsPerSlowKey: 4,
  /** The same for reads through the page cache: hung ones fill FUSE's background queue, which holds 12. */
  bufferedPerFile: 2,
  /** A call that runs for longer counts as slow: its file gets no further thread until it answers (see lanes.ts). */
  slowCall: 1_000,
  /** After a quick answer, a file or directory may use the reserved threads for this long. */
  provenFor: 10_000,
  /** The most files or directories that one lane remembers. */
  standings: 16_384,
  /** Calls that may wait for one file or directory. */
  queuePerKey: 1_024,
  /** O_DIRECT reads are split into parts of at most this many bytes: on Decypharr four parallel ones were fastest. */
  directPart: 256 * 1024,
  smallestPart: 64 * 1024,
  /** Files kept for one mount. Beyond that the least recently used file without a running read is closed. */
  descriptors: 256,
  /** A file is closed after this long without reads, as daemons read ahead while it is open. */
  idleProbe: 150,
  /** The same for a file that is read as a stream: a player pauses for 5 to 10 s between its bursts. */
  idleStream: 10_500,
  /** Bytes read in order after which a file counts as a stream. */
  streamBytes: 8 * 1024 * 1024,
  /** Reads within this many bytes of each other count as in order, as clients may reorder them. */
  streamWindow: 8 * 1024 * 1024,
  sweepInterval: 50,
  /** An unused foothold is closed after this long, so that it does not make an unmount fail as busy. */
  footholdIdle: 5,
  /** A foothold is replaced after this long, even if it is in use. */
  footholdAge: 250,
  footholds: 64,
  /** How long a possible sign of a shutdown is held before it is accepted. Decypharr takes up to 2 s to shut down. */
  verdict: 5_000,
  /** The minimum time over which an error must be repeated. */
  quickVerdict: 20,
  /** A failure that took this long is not retried if other objects answer: a retry would take as long again. */
  slowFailure: 30_000,
  /** Pauses before a possible hole is read again. A daemon without open files shuts down within their sum. */
  zeroPauses: [20, 60, 120],
  /** The most remembered ranges of files whose zeros were confirmed. */
  zeroRegions: 4_096,
  /** Pauses before a call with an error or short answer is retried; the last one repeats. */
  pauses: [20, 60, 150, 250, 500],
  /** The most recently read files and seen names that are kept for second opinions. */
  opinions: 4_096,
  opinionAge: 600_000,
  opinionBytes: 4_096,
  opinionDeadline: 2_000,
  /** Bytes and time for which late results are kept for repeated requests. */
  lateBytes: 64 * 1024 * 1024,
  lateAge: 30_000,
  /** The result of a read that took longer is kept: its client may have got JUKEBOX or RETRY and will repeat it. */
  lateRead: 500,
  /** The most objects in quarantine, and their cool-down after a timeout, which doubles with each further one. */
  quarantined: 10_000,
  coolDown: 30_000,
  coolDownMax: 300_000,
  /** The cool-down of an object that answers with an error. */
  errorCoolDown: 5_000,
  errorCoolDownMax: 120_000,
  /** The reader of the retry after a cool-down waits at most this long. The retry itself continues. */
  retryPatience: 1_000,
  /** Only this many readers wait for `retryPatience`, others for `retryGlance`: a scan of dead files must stay quick. */
  patientRetries: 2,
  retryGlance: 150,
  /** A verdict covers a region of this many bytes; the rest of the file may be readable. */
  verdictRegion: 1024 * 1024,
  watchInterval: 500,
  /** How often a live source is probed. */
  probeInterval: 2_000,
  /** The most mounts below the path of one export that are watched. */
  mounts: 256,
  /** The most folders of one mount that are watched by inotify. */
  folderWatches: 1_024,
  /** The most entries of a directory; a larger one fails with `fbig`. */
  directoryEntries: 2_000_000,
} as const;
