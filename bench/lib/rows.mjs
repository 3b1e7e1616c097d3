/**
 * The rows of the table. A row is one kind of work, done by the same client against each server.
 *
 * @typedef {object} Work
 * @property {'seq' | 'random' | 'list' | 'walk' | 'ends'} mode `ends`: the first and last 64 KiB of many films, the second pass
 *   of two
 * @property {string} what
 * @property {'slow' | 'library'} [tree] slow: answers each read after 10 ms; library: has 28,000 files
 * @property {number} [size] bytes in each read
 * @property {number} [flight] requests in flight
 * @property {'plain' | 'signed' | 'encrypted'} [protection] SMB
 * @property {number} [viewers] number of clients that do the same work in parallel, while another one scans the library
 * @property {number} [films] whose ends are read
 * @property {boolean} [cold] each sample starts a new server and lists once
 *
 * @typedef {Work & { name: string, protocol: 'nfs' | 'smb' }} Row
 */

const MiB = 1 << 20;

/** @type {Record<string, Work>} */
const works = {
  'nfs-read-1m': { mode: 'seq', size: MiB, flight: 1, what: '1 MiB reads, 1 in flight' },
  'nfs-read-1m-q4': { mode: 'seq', size: MiB, flight: 4, what: '1 MiB reads, 4 in flight' },
  'nfs-read-4k': { mode: 'random', size: 4096, flight: 1, what: '4 KiB random, 1 in flight' },
  'nfs-read-4k-q32': { mode: 'random', size: 4096, flight: 32, what: '4 KiB random, 32 in flight' },
  'nfs-list': { mode: 'list', what: 'list + attributes, warm' },
  'nfs-list-cold': { mode: 'list', cold: true, what: 'list + attributes, server just started' },
  'nfs-walk': {
    mode: 'walk',
    tree: 'library',
    cold: true,
    what: '10,000 folders, 28,000 files: LOOKUP, ACCESS, GETATTR, READDIRPLUS of each',
  },
  'nfs-slow-1m': { mode: 'seq', tree: 'slow', size: MiB, flight: 1, what: '10 ms tree, 1 MiB, 1 in flight' },
  'nfs-slow-1m-q4': {
    mode: 'seq',
    tree: 'slow',
    size: MiB,
    flight: 4,
    what: '10 ms tree, 1 MiB, 4 in flight',
  },
  'nfs-slow-viewers': {
    mode: 'seq',
    tree: 'slow',
    size: MiB,
    viewers: 2,
    what: '10 ms tree, two viewers and a scanner: each viewer',
  },
  'nfs-slow-ends': {
    mode: 'ends',
    tree: 'slow',
    films: 1000,
    cold: true,
    what: '10 ms tree, both ends of 1,000 films, second pass',
  },
  'smb-read-1m': { mode: 'seq', size: MiB, what: '1 MiB reads' },
  'smb-read-1m-signed': { mode: 'seq', size: MiB, protection: 'signed', what: '1 MiB reads, signed' },
  'smb-read-1m-encrypted': {
    mode: 'seq',
    size: MiB,
    protection: 'encrypted',
    what: '1 MiB reads, encrypted',
  },
  'smb-read-4k': { mode: 'random', size: 4096, what: '4 KiB random' },
  'smb-list': { mode: 'list', what: 'list + attributes, warm' },
  'smb-list-cold': { mode: 'list', cold: true, what: 'list + attributes, server just started' },
  'smb-slow-viewers': {
    mode: 'seq',
    tree: 'slow',
    size: MiB,
    viewers: 2,
    what: '10 ms tree, two viewers and a scanner: each viewer',
  },
  'smb-slow-ends': {
    mode: 'ends',
    tree: 'slow',
    films: 1000,
    cold: true,
    what: '10 ms tree, both ends of 1,000 films, second pass',
  },
  'smb-walk': {
    mode: 'walk',
    tree: 'library',
    cold: true,
    what: '10,000 folders, 28,000 files: each opened and listed',
  },
  'smb-slow-1m': { mode: 'seq', tree: 'slow', size: MiB, what: '10 ms tree, 1 MiB' },
};

/** @type {Row[]} */
export const rows = Object.entries(works).map(([name, work]) => ({
  ...work,
  name,
  protocol: name.startsWith('nfs') ? 'nfs' : 'smb',
}));

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
