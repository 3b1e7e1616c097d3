/** The memory that a worker shares with the main thread: its progress and its results. */
import { Buffer } from 'node:buffer';
import { stride } from './columns.mjs';

/** The most entries that fit. For a larger directory the worker sends the names in a message, without attributes. */
export const entriesMost = 512;

/** Bytes of the longest name (NAME_MAX). */
const nameMost = 255;

/** Index of each control word. */
export const Word = {
  /** Counts requests. An idle worker waits for a change. */
  signal: 0,
  /** Counts completed steps. If it does not change, the worker's call hangs. */
  steps: 1,
  /** One of `Phase`. */
  phase: 2,
  /** Number of entries in the listing; -1 until the whole listing is in memory. */
  listed: 3,
  /** Number of entries that were looked up. */
  looked: 4,
  /** Not 0 if the worker should stop, as the request was given up. */
  stop: 5,
};

/** What a worker does now. `hint`: it looks up an entry while it reads the listing. */
export const Phase = { directory: 0, object: 1, listing: 2, entries: 3, hint: 4 };

const words = 16;
const columnsAt = words * Int32Array.BYTES_PER_ELEMENT;
const lengthsAt = columnsAt + stride * (entriesMost + 1) * Float64Array.BYTES_PER_ELEMENT;
const kindsAt = lengthsAt + entriesMost;
const namesAt = kindsAt + entriesMost;

export const memoryBytes = namesAt + entriesMost * nameMost;

/** @param {SharedArrayBuffer} buffer of `memoryBytes` */
export const viewsOf = (buffer) => ({
  control: new Int32Array(buffer, 0, words),
  /** Attributes (see columns.mjs): index 0 is the object itself, the entries follow in order. */
  columns: new Float64Array(buffer, columnsAt, stride * (entriesMost + 1)),
  /** Of the entries: the length of each name in bytes, the kinds, and all names without separators. */
  lengths: new Uint8Array(buffer, lengthsAt, entriesMost),
  kinds: new Uint8Array(buffer, kindsAt, entriesMost),
  names: Buffer.from(buffer, namesAt, entriesMost * nameMost),
});
