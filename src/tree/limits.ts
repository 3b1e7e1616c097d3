/** Bounds and freshness of the tree. Times are milliseconds. */
export const TreeLimits = {
  /** Objects remembered at once in one export; directories not used for longest are forgotten first. */
  nodes: 400_000,
  /** An attribute this young answers a GETATTR or LOOKUP without asking the source. */
  attributesFresh: 1_000,
  /** An attribute this young is good enough inside a listing, where a client opening the file asks again. */
  entryFresh: 30_000,
  /** A READ of a file whose attributes are older than this has them refreshed behind it. */
  readFresh: 5_000,
  /** A listing this young is served without asking. */
  listingFresh: 1_000,
  /** What is being asked again keeps its reader waiting no longer than this; then the last good answer serves. */
  patience: 250,
  /** The same for the first date of a directory whose own is the clock's, which takes a look at all entries. */
  datePatience: 2_000,
  /** Such directories whose dates are waited for in one listing. */
  datesInListing: 16,
  /** A listing is refreshed at most once in this many times what it takes. */
  listingCostFactor: 20,
  /** But at least this often while somebody uses it, however long it takes. */
  listingStale: 4_000,
  /** A directory used within this time is looked at in the background. */
  inUse: 60_000,
  directoriesInUse: 1_024,
  /** For so long an entry that is still there may be left out of listings before these are believed. */
  omission: 10_000,
  /** Entries that are looked at at once to find out. */
  omittedBatch: 64,
  /** How often directories in use are gone through, and how many of them are read at a time. */
  refreshInterval: 500,
  refreshBatch: 16,
  /** How long one round of it may take before the next begins. */
  refreshPatience: 2_000,
  /** Listings that are read again in a second because only the attributes of their directories were asked for. */
  attributeRefreshes: 100,
  /** How often files that are held open are looked at for changes, and how many at a time. */
  pinnedInterval: 1_000,
  pinnedBatch: 64,
  /** How many levels of directories whose times are the clock's are gone through for the time of one. */
  gatherDepth: 3,
  negativeFresh: 1_000,
  negatives: 20_000,
  /** Entries hashed, or prepared, before the event loop gets its turn. */
  slice: 250,
  /** Entries whose attributes are fetched ahead of a reader of a listing. */
  prefetch: 1_024,
  /** An answer that took long serves for so many times as long. */
  rememberedFactor: 3,
  /** Requests that may wait for a source that is away; beyond it the oldest is told to come again. */
  waiting: 4_096,
  /** Bytes shown, all of them free, where a source reports no totals: 1 PiB. */
  unknownSpace: 2 ** 50,
  /** Pause before work is tried again that fails as if the source were away while it answers others. */
  unsureWait: 250,
} as const;
