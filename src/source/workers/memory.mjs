/** The memory that a worker shares with the main thread: how far it is, and what it has found. */
import { Buffer } from 'node:buffer';
import { stride } from './columns.mjs';

/** Entries whose names and attributes have room. Of a larger directory a worker tells the names alone. */
export const entriesMost = 512;

/** Bytes of the longest name. */
const nameMost = 255;

/** Words that both threads look at while a worker works. */
export const Word = {
  /** Grows with each request: what an idle worker waits for. */
  signal: 0,
  /** Grows with each step that has been done; standing still it tells of a call that hangs. */
  steps: 1,
  /** One of `Phase`. */
  phase: 2,
  /** Entries that a listing has; -1 until it was read whole. */
  listed: 3,
  /** Entries that were looked at. */
  looked: 4,
  /** Not 0 when nobody wants the rest any more. */
  stop: 5,
};

/** What a worker is about. */
export const Phase = { directory: 0, object: 1, listing: 2, entries: 3 };

const words = 16;
const columnsAt = words * Int32Array.BYTES_PER_ELEMENT;
const lengthsAt = columnsAt + stride * (entriesMost + 1) * Float64Array.BYTES_PER_ELEMENT;
const kindsAt = lengthsAt + entriesMost;
const namesAt = kindsAt + entriesMost;

export const memoryBytes = namesAt + entriesMost * nameMost;

/** @param {SharedArrayBuffer} buffer of `memoryBytes` */
export const viewsOf = (buffer) => ({
  control: new Int32Array(buffer, 0, words),
  /** Attributes: first those of the object itself, then those of the entries, in order. */
  columns: new Float64Array(buffer, columnsAt, stride * (entriesMost + 1)),
  /** Of the entries: bytes of each name, kinds, names behind each other. */
  lengths: new Uint8Array(buffer, lengthsAt, entriesMost),
  kinds: new Uint8Array(buffer, kindsAt, entriesMost),
  names: Buffer.from(buffer, namesAt, entriesMost * nameMost),
});
