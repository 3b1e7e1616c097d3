/**
 * Answers one request in a worker, synchronously: opens a directory, checks that it is the expected one, looks up names in it,
 * lists it. Errors are returned; the main thread decides what they mean.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  opendirSync,
  readFileSync,
  readSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Outcome, stride, writeAttributes } from './columns.mjs';
import { entriesMost, Phase, Word } from './memory.mjs';

/**
 * @typedef {object} Request
 * @property {string} root canonical path of the export, a byte string
 * @property {string} directory path of the directory to open, below the root
 * @property {number | undefined} device st_dev that every object must have; undefined if any is allowed
 * @property {number | undefined} [mountId] mount to which the directory must belong; undefined if the device is enough
 * @property {string} [object] name in the directory to look up, '.' for the directory itself
 * @property {readonly string[]} [names] several names to look up, at most `entriesMost`
 * @property {boolean} [list] whether to list the object if it is a directory
 * @property {boolean} [looks] whether to look up the entries of the listing as well
 * @property {string} [digest] digest of the last listing: if it is unchanged, the listing is not returned
 *
 * @typedef {object} Failure
 * @property {string} code name of the errno
 * @property {number} errno
 * @property {string} message
 *
 * @typedef {object} Names packed entries, as in memory.mjs
 * @property {Uint8Array} names
 * @property {Uint8Array} lengths
 * @property {Uint8Array} kinds
 *
 * @typedef {object} Reply
 * @property {Failure} [failure] the error at which the worker stopped
 * @property {'directory' | 'object' | 'listing'} [failed] the step that failed
 * @property {Misled} [misled] why the opened directory is not the expected one
 * @property {boolean} [isSame] whether the listing has the digest of the request
 * @property {string} [digest] digest of the listing
 * @property {Names} [names] a listing that does not fit in the shared memory
 * @property {number} [took] milliseconds
 * @property {boolean} [isSlow] whether the worker stopped looking up entries, as parallel lookups by the lanes are faster
 *
 * @typedef {'device' | 'mount' | 'place'} Misled
 *
 * @typedef {ReturnType<import('./memory.mjs').viewsOf>} Views
 */

/** open(2) of Linux; Node has no constant for it. */
const O_PATH = 0o10000000;
export const directoryFlags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** The index of a kind is its number in the shared memory. */
export const kinds = /** @type {const} */ ([
  'unknown',
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'block',
  'character',
]);

/**
 * The entry's type in the directory: a hint, as an index into `kinds`.
 * @param {import('node:fs').Dirent<string>} entry
 */
export function hintOf(entry) {
  if (entry.isDirectory()) return 2;
  if (entry.isFile()) return 1;
  if (entry.isSymbolicLink()) return 3;
  if (entry.isFIFO()) return 4;
  if (entry.isSocket()) return 5;
  if (entry.isBlockDevice()) return 6;
  if (entry.isCharacterDevice()) return 7;
  return 0;
}

/**
 * Checks whether an opened directory is the expected one.
 * @param {number} device its st_dev
 * @param {number | undefined} expected
 * @param {string} reached its path according to /proc/self/fd
 * @param {string} path
 * @returns {'device' | 'place' | undefined} what is wrong
 */
export function misledBy(device, expected, reached, path) {
  if (expected !== undefined && device !== expected) return 'device';
  return reached === path || reached === `${path} (deleted)` ? undefined : 'place';
}

/**
 * Whether a descriptor belongs to the mount `expected`, by fdinfo, proc(5). True if the kernel gives no mount id (gVisor).
 * @param {string} fdinfo
 * @param {number} expected
 */
export function isMountOf(fdinfo, expected) {
  const found = /^mnt_id:\s*(\d+)/m.exec(fdinfo)?.[1];
  return found === undefined || Number(found) === expected;
}

/** The lookup of entries stops if it has taken longer than `patience`, and on average longer than `slowLook` for each, in ms. */
const patience = 20;
const slowLook = 0.4;

/** @param {number} descriptor */
const placeOf = (descriptor) => `/proc/self/fd/${descriptor}`;

/** @param {string} path a byte string */
const bytes = (path) => Buffer.from(path, 'latin1');

/**
 * @param {unknown} error
 * @returns {Failure}
 */
function failureOf(error) {
  const { code = '', errno = 0, message } = /** @type {NodeJS.ErrnoException} */ (error);
  return { code, errno, message };
}

/** How long this thread has waited for a processor: what a busy machine does is not the source's slowness. */
class Clock {
  /** @type {number | undefined} */
  #descriptor;
  #text = Buffer.alloc(80);

  constructor() {
    try {
      this.#descriptor = openSync('/proc/thread-self/schedstat', 'r');
    } catch {
      // Not every kernel tells.
    }
  }

  /** Milliseconds that this thread has run, or waited for calls. */
  now() {
    if (this.#descriptor === undefined) return performance.now();
    const length = readSync(this.#descriptor, this.#text, 0, this.#text.length, 0);
    const waited = Number(this.#text.toString('latin1', 0, length).split(' ', 2)[1]);
    return performance.now() - waited / 1e6;
  }
}

export class Surveyor {
  #views;
  #clock = new Clock();
  /** Devices with directories that have entries of unknown type, which Node's readdir with types cannot handle. */
  #withoutTypes = new Set();
  /** @type {string | undefined} a directory in which the last listed subdirectory was small */
  #smallIn;
  #steps = 0;

  /** @param {Views} views */
  constructor(views) {
    this.#views = views;
  }

  /**
   * @param {Request} request
   * @returns {Reply}
   */
  answer(request) {
    const begun = this.#clock.now();
    const reply = this.#answer(request);
    reply.took = this.#clock.now() - begun;
    return reply;
  }

  /**
   * @param {Request} request
   * @returns {Reply}
   */
  #answer(request) {
    const { control, columns } = this.#views;
    Atomics.store(control, Word.stop, 0);
    Atomics.store(control, Word.listed, -1);
    Atomics.store(control, Word.looked, 0);
    columns[0] = Outcome.unknown;
    this.#enter(Phase.directory);
    /** @type {number | undefined} */
    let descriptor;
    /** @type {NonNullable<Reply['failed']>} */
    let failed = 'directory';
    try {
      descriptor = openSync(bytes(request.root + request.directory || '/'), directoryFlags);
      const misled = this.#misled(descriptor, request, request.directory);
      if (misled) return { misled };
      failed = 'object';
      if (request.object !== undefined) {
        this.#enter(Phase.object);
        this.#lookAt(descriptor, request.object, 0, request.device);
        this.#step();
      }
      failed = 'listing';
      if (request.list) return this.#list(descriptor, request);
      return request.names ? this.#lookAtAll(descriptor, request.names, request.device) : {};
    } catch (error) {
      return { failure: failureOf(error), failed };
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }

  /** @param {number} phase */
  #enter(phase) {
    Atomics.store(this.#views.control, Word.phase, phase);
    this.#step();
  }

  #step() {
    this.#steps = (this.#steps + 1) | 0;
    Atomics.store(this.#views.control, Word.steps, this.#steps);
  }

  /**
   * @param {number} descriptor
   * @param {Request} request
   * @param {string} directory
   * @returns {Misled | undefined}
   */
  #misled(descriptor, { root, device, mountId }, directory) {
    const { dev } = fstatSync(descriptor);
    this.#step();
    const reached = readlinkSync(placeOf(descriptor), 'latin1');
    const misled = misledBy(dev, device, reached, root + directory || '/');
    if (misled || mountId === undefined) return misled;
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1');
    return isMountOf(info, mountId) ? undefined : 'mount';
  }

  /**
   * @param {number} descriptor of the directory
   * @param {string} name
   * @param {number} index place of the result in the columns
   * @param {number | undefined} device
   */
  #lookAt(descriptor, name, index, device) {
    const { columns } = this.#views;
    columns[index * stride] = Outcome.unknown;
    const stats = lstatSync(bytes(`${placeOf(descriptor)}/${name}`), { bigint: true, throwIfNoEntry: false });
    if (!stats) columns[index * stride] = Outcome.absent;
    else if (device === undefined || Number(stats.dev) === device) writeAttributes(columns, index, stats);
  }

  /**
   * @param {number} descriptor
   * @param {readonly string[]} names
   * @param {number | undefined} device
   * @returns {Reply}
   */
  #lookAtAll(descriptor, names, device) {
    const { control } = this.#views;
    this.#enter(Phase.entries);
    const begun = this.#clock.now();
    for (let i = 0; i < names.length; i++) {
      try {
        this.#lookAt(descriptor, names[i] ?? '', i + 1, device);
      } catch {
        // Its outcome stays `unknown`: a separate lookup will return the error.
      }
      if (Atomics.load(control, Word.stop) !== 0) return {};
      Atomics.store(control, Word.looked, i + 1);
      this.#step();
      if ((i & 15) !== 15) continue;
      const took = this.#clock.now() - begun;
      if (took > patience && took > i * slowLook) return { isSlow: true };
    }
    return {};
  }

  /**
   * @param {number} above
   * @param {Request} request
   * @returns {Reply}
   */
  #list(above, request) {
    this.#enter(Phase.listing);
    const { object = '.', directory } = request;
    if (object === '.') return this.#listOpened(above, request, directory);
    const descriptor = openSync(bytes(`${placeOf(above)}/${object}`), directoryFlags);
    try {
      const path = `${directory}/${object}`;
      const misled = this.#misled(descriptor, request, path);
      return misled ? { misled } : this.#listOpened(descriptor, request, path);
    } finally {
      closeSync(descriptor);
    }
  }

  /**
   * @param {number} descriptor
   * @param {Request} request
   * @param {string} path
   * @returns {Reply}
   */
  #listOpened(descriptor, request, path) {
    const { control, names, lengths, kinds } = this.#views;
    const entries = this.#read(descriptor, request.device, this.#mayHint(request));
    if (request.object !== undefined)
      this.#smallIn = entries.length < hintEvery ? request.directory : undefined;
    // If the mount was detached meanwhile, the listing may be incomplete. Then the directory's path has changed.
    const reached = readlinkSync(placeOf(descriptor), 'latin1');
    if (reached !== (request.root + path || '/')) return { misled: 'place' };
    const room = entries.length <= entriesMost ? { names, lengths, kinds } : roomFor(entries);
    const used = pack(entries, room);
    const digest = digestOf(room, entries.length, used);
    if (digest === request.digest) return { isSame: true };
    if (entries.length > entriesMost)
      return { digest, names: { ...room, names: room.names.subarray(0, used) } };
    Atomics.store(control, Word.listed, entries.length);
    if (!request.looks) return { digest };
    const reply = this.#lookAtAll(descriptor, entries.map(nameOf), request.device);
    return { ...reply, digest };
  }

  /**
   * @param {number} descriptor
   * @param {number | undefined} device
   * @param {boolean} hints whether to tell the kernel that the attributes of the entries will be needed
   * @returns {Entry[]}
   */
  #read(descriptor, device, hints) {
    // As a Buffer: with a string, Node would lstat an entry of unknown type by a path in a wrong encoding.
    const place = bytes(placeOf(descriptor));
    if (!this.#withoutTypes.has(device)) {
      try {
        return hints
          ? this.#readWithHints(place, descriptor)
          : readdirSync(place, { encoding: 'latin1', withFileTypes: true });
      } catch (error) {
        if (!isUntyped(error)) throw error;
        this.#withoutTypes.add(device);
      }
    }
    return readdirSync(place, 'latin1');
  }

  /**
   * Only a first listing needs attributes. In a small directory, hints have no use and cost one more request to the daemon.
   * @param {Request} request
   */
  #mayHint({ looks, digest, object, directory }) {
    const isSmall = object !== undefined && directory === this.#smallIn;
    return looks === true && digest === undefined && !isSmall;
  }

  /**
   * Reads a directory and looks up some entries meanwhile. This makes the kernel request the names together with their
   * attributes (FUSE_READDIRPLUS), which it otherwise does only for the beginning of a directory. Without that, each later
   * lookup of an entry is a request to the daemon.
   * @param {Buffer} place
   * @param {number} descriptor
   */
  #readWithHints(place, descriptor) {
    const { control } = this.#views;
    const phase = Atomics.load(control, Word.phase);
    const directory = opendirSync(place, { encoding: 'latin1', bufferSize: hintEvery });
    const entries = [];
    try {
      for (let entry = directory.readSync(); entry; entry = directory.readSync()) {
        entries.push(entry);
        if (entries.length % hintEvery !== 0) continue;
        this.#enter(Phase.hint);
        try {
          lstatSync(bytes(`${placeOf(descriptor)}/${entry.name}`), { throwIfNoEntry: false });
        } catch {
          // It is only a hint. The lookup of the entry will return the error.
        }
        this.#enter(phase);
      }
    } finally {
      directory.closeSync();
    }
    // As readdirSync does: the digest depends on the order.
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  }
}

/**
 * Entries read between two hints. On older kernels, one request to the daemon returns about twice as many, in 4 KiB.
 * See Surveyor.#readWithHints.
 */
const hintEvery = 16;

/** @typedef {string | import('node:fs').Dirent<string>} Entry */

/**
 * Whether readdir failed at an entry of unknown type (DT_UNKNOWN): Node calls lstat for it, but cannot join a Buffer and a name.
 * @param {unknown} error
 */
export const isUntyped = (error) =>
  /** @type {NodeJS.ErrnoException} */ (error).code === 'ERR_INVALID_ARG_TYPE';

/** @param {Entry} entry */
const nameOf = (entry) => (typeof entry === 'string' ? entry : entry.name);

/** @param {readonly Entry[]} entries */
function roomFor(entries) {
  let length = 0;
  for (const entry of entries) length += nameOf(entry).length;
  return {
    names: Buffer.from(new ArrayBuffer(length)),
    lengths: new Uint8Array(entries.length),
    kinds: new Uint8Array(entries.length),
  };
}

/**
 * @param {readonly Entry[]} entries
 * @param {{ names: Buffer, lengths: Uint8Array, kinds: Uint8Array }} room
 * @returns {number} bytes of all names
 */
function pack(entries, { names, lengths, kinds }) {
  let at = 0;
  for (let i = 0; i < entries.length; i++) {
    const entry = /** @type {Entry} */ (entries[i]);
    const name = nameOf(entry);
    names.write(name, at, 'latin1');
    lengths[i] = name.length;
    kinds[i] = typeof entry === 'string' ? 0 : hintOf(entry);
    at += name.length;
  }
  return at;
}

/**
 * Digest of the names in the order of the listing, which stays the same while the directory does not change.
 * @param {{ names: Uint8Array, lengths: Uint8Array }} room
 * @param {number} entries
 * @param {number} used
 */
function digestOf({ names, lengths }, entries, used) {
  const hash = createHash('sha256');
  // Hash a copy: by its type, update() takes no shared memory, which another thread could change.
  hash.update(Uint8Array.prototype.slice.call(lengths, 0, entries));
  hash.update(Uint8Array.prototype.slice.call(names, 0, used));
  return hash.digest('binary');
}
