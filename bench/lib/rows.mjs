/**
 * The rows of the table. A row is one kind of work, done by the same client against each server.
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {'nfs' | 'smb'} protocol
 * @property {'seq' | 'random' | 'list'} mode
 * @property {'fast' | 'slow'} tree
 * @property {number} [size] bytes in each read
 * @property {number} [flight] requests in flight
 * @property {'plain' | 'signed' | 'encrypted'} [protection] SMB
 * @property {boolean} [cold] each sample has a server that was just started, and lists once
 * @property {string} what
 */

const MiB = 1 << 20;

/** @type {Row[]} */
export const rows = [
  { name: 'nfs-read-1m', mode: 'seq', size: MiB, flight: 1, what: '1 MiB reads, 1 in flight' },
  { name: 'nfs-read-1m-q4', mode: 'seq', size: MiB, flight: 4, what: '1 MiB reads, 4 in flight' },
  { name: 'nfs-read-4k', mode: 'random', size: 4096, flight: 1, what: '4 KiB random, 1 in flight' },
  { name: 'nfs-read-4k-q32', mode: 'random', size: 4096, flight: 32, what: '4 KiB random, 32 in flight' },
  { name: 'nfs-list', mode: 'list', what: 'list + attributes, warm' },
  { name: 'nfs-list-cold', mode: 'list', cold: true, what: 'list + attributes, server just started' },
  { name: 'nfs-slow-1m', mode: 'seq', tree: 'slow', size: MiB, flight: 1, what: '10 ms tree, 1 MiB reads' },
  {
    name: 'nfs-slow-1m-q4',
    mode: 'seq',
    tree: 'slow',
    size: MiB,
    flight: 4,
    what: '10 ms tree, 4 in flight',
  },
  { name: 'smb-read-1m', mode: 'seq', size: MiB, protection: 'plain', what: '1 MiB reads' },
  { name: 'smb-read-1m-signed', mode: 'seq', size: MiB, protection: 'signed', what: '1 MiB reads, signed' },
  {
    name: 'smb-read-1m-encrypted',
    mode: 'seq',
    size: MiB,
    protection: 'encrypted',
    what: '1 MiB reads, encrypted',
  },
  { name: 'smb-read-4k', mode: 'random', size: 4096, protection: 'plain', what: '4 KiB random' },
  { name: 'smb-list', mode: 'list', protection: 'plain', what: 'list + attributes, warm' },
  {
    name: 'smb-list-cold',
    mode: 'list',
    cold: true,
    protection: 'plain',
    what: 'list + attributes, server just started',
  },
  {
    name: 'smb-slow-1m',
    mode: 'seq',
    tree: 'slow',
    size: MiB,
    protection: 'plain',
    what: '10 ms tree, 1 MiB reads',
  },
].map((row) => ({ tree: 'fast', protocol: row.name.startsWith('nfs') ? 'nfs' : 'smb', ...row }));

/**
 * The rows that a comma-separated filter names: an exact name, or the beginning of some.
 * @param {string | undefined} only
 * @returns {Row[]}
 */
export function selectRows(only) {
  if (only === undefined) return rows;
  const chosen = only.split(',').flatMap((wanted) => {
    const exact = rows.filter((row) => row.name === wanted);
    const found = exact.length > 0 ? exact : rows.filter((row) => row.name.startsWith(wanted));
    if (found.length === 0) throw new Error(`--only ${wanted}: no such row; --list names them`);
    return found;
  });
  return rows.filter((row) => chosen.includes(row));
}
