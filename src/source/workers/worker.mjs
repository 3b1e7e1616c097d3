/** The main loop of a worker thread: waits for a request, answers it, and waits for the next. It never runs an event loop. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { viewsOf, Word } from './memory.mjs';
import { Surveyor } from './survey.mjs';

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
const views = viewsOf(/** @type {SharedArrayBuffer} */ (workerData));
const surveyor = new Surveyor(views);

/** @type {import('./survey.mjs').Reply} */
const ready = {};
port.postMessage(ready);

for (let seen = 0; ;) {
  Atomics.wait(views.control, Word.signal, seen);
  seen = Atomics.load(views.control, Word.signal);
  for (let next; (next = receiveMessageOnPort(port));) {
    const reply = surveyor.answer(/** @type {import('./survey.mjs').Request} */ (next.message));
    const { names } = reply;
    const moved = names ? [names.names.buffer, names.lengths.buffer, names.kinds.buffer] : [];
    port.postMessage(reply, /** @type {ArrayBuffer[]} */ (moved));
  }
}
