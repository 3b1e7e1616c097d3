/** Limits and cache times of the tree. Times are milliseconds. */
export const TreeLimits = {
  /** The most objects in memory for one export. Least recently used directories are dropped first. */
  nodes: 400_000,
  /** Attributes up to this age answer GETATTR and LOOKUP without a call to the source. */
  attributesFresh: 1_000,
  /** Attributes up to this age are used in listings: a client that opens the file asks again. */
  entryFresh: 30_000,
  /** Cached content answers a READ only if the file's attributes are at most this old. */
  readFresh: 5_000,
  /** A listing up to this age is served without a call to the source. */
  listingFresh: 1_000,
  /** A request waits at most this long for a refresh; then it gets the last good answer. */
  patience: 250,
  /** The same for the first date of a directory whose time follows the clock, which needs a lookup of all its entries. */
  datePatience: 2_000,
  /** A listing waits for such dates only if it has at most this many such directories. */
  datesInListing: 16,
  /** A listing stays fresh for this many times the time that it took to read, up to `listingStale`. */
  listingCostFactor: 20,
  /** The longest time that a listing stays fresh, unless it takes even longer to read. */
  listingStale: 4_000,
  /** How long the listing of a directory that is watched by inotify stays fresh while no change is reported. */
  quietFresh: 30_000,
  /** Pause between a reported change and reading the directory again, so that changes close together cause one reading. */
  toldDelay: 100,
  /** A directory used within this time is refreshed in the background. */
  inUse: 60_000,
  directoriesInUse: 1_024,
  /** An entry that still exists but is missing from listings is dropped only after this long. */
  omission: 10_000,
  /** Missing entries are looked up in batches of this size. */
  omittedBatch: 64,
  /** How often directories in use are checked, and how many are read at a time. */
  refreshInterval: 500,
  refreshBatch: 16,
  /** The next check begins after this long even if the last one is not finished. */
  refreshPatience: 2_000,
  /** The most listings per second that are refreshed because of a request for their directory's attributes. */
  attributeRefreshes: 100,
  /** How often open files are checked for changes, and how many at a time. */
  pinnedInterval: 1_000,
  pinnedBatch: 64,
  /** A request waits for the entry times of a directory whose time follows the clock only if it has at most this many entries. */
  gatherAtOnce: 256,
  /** In larger ones, entries are looked up with this pause between the steps while clients ask for attributes. */
  gatherPause: 50,
  /** Pause before the entry times of a directory are collected again because one of them has changed. */
  regather: 1_000,
  /** The most levels below a directory that are searched for its newest entry. */
  gatherDepth: 3,
  negativeFresh: 1_000,
  negatives: 20_000,
  /** Entries processed before the event loop gets a turn. */
  slice: 250,
  /** Entries whose attributes are fetched in advance for the reader of a listing. */
  prefetch: 1_024,
  /** Subdirectories that a client lists in order before the next ones are read ahead: see walks.ts. */
  walkSteps: 2,
  /** The most entries between two of them. */
  walkGap: 16,
  /** The most entries that are read ahead, and how many at a time. */
  walkAhead: 16,
  walkAtOnce: 2,
  /** Directories whose walks are followed at a time. */
  walks: 64,
  /** A slow answer is reused for this many times as long as it took. */
  rememberedFactor: 3,
  /** The most requests that wait for absent sources. Beyond it the oldest gets a retry status. */
  waiting: 4_096,
  /** Total and free bytes that are shown if a source reports no totals: 1 PiB. */
  unknownSpace: 2 ** 50,
  /** Pause before a retry of work that fails with `down` although the source is not `down`. */
  unsureWait: 250,
} as const;
