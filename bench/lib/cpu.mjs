import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks in a second, as /proc counts them (USER_HZ). */
const ticks = 100;

/**
 * Process, parent and CPU time of a line of /proc/PID/stat, proc(5), with that of its children that have ended.
 * @param {string} pid
 */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      pid: Number(pid),
      parent: Number(fields[1]),
      seconds: [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0) / ticks,
    };
  } catch {
    return undefined;
  }
}

/**
 * CPU time of a server and of all its child processes, including those that have ended: smbd has one for each connection.
 * @param {{ pid: number } | undefined} server
 * @returns {number | undefined}
 */
export function cpuSeconds(server) {
  if (!server) return undefined;
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((one) => one !== undefined);
  const family = new Set([server.pid]);
  let seconds = 0;
  for (let size = -1; size !== family.size;) {
    size = family.size;
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid);
  }
  for (const one of all) if (family.has(one.pid)) seconds += one.seconds;
  return seconds;
}
