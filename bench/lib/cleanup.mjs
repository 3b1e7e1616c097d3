/**
 * Clean-up of processes, mounts, the namespace and folders, however the run ends. It is synchronous, so that it also works
 * in an exit or signal handler.
 */

/** @type {{ undo: () => void }[]} */
const pending = [];

/**
 * Registers something to undo, last in first out.
 * @param {() => void} undo
 * @returns {() => void} undoes it now, once
 */
export function defer(undo) {
  const entry = { undo };
  pending.push(entry);
  return () => {
    const at = pending.indexOf(entry);
    if (at < 0) return;
    pending.splice(at, 1);
    undo();
  };
}

/** Undoes everything that is left, last in first out. */
export function undoAll() {
  for (let entry = pending.pop(); entry; entry = pending.pop()) {
    try {
      entry.undo();
    } catch (error) {
      console.error(`clean-up: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
for (const [signal, code] of Object.entries(exitCodes)) process.once(signal, () => process.exit(code));
process.once('exit', undoAll);
