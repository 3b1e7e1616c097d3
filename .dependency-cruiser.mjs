/**
 * Which part of a package may import which, types included. Each list goes from the bottom to the top: a part imports those
 * before it and itself, and nothing ever imports in a circle.
 */

/** Folders and single files of protocols/smb2/src; a name with a dot is a file. */
const smb2 = [
  ['wire', 'names', 'limits.ts', 'hooks.ts', 'errors.ts', 'backend.ts'],
  ['crypto', 'security', 'dcerpc', 'memory'],
  ['auth', 'transport'],
  ['context'],
  ['share'],
  ['file'],
  ['open'],
  ['session'],
  ['drain'],
  ['connection'],
  ['request'],
  ['registry'],
  ['commands'],
  ['pipeline.ts'],
  ['server.ts'],
  ['index.ts', 'testing'],
];

/** The same for src/source: from what is known of one call to the whole tree below a path. */
const source = [
  ['raw.ts', 'errors.ts', 'limits.ts', 'content-counts.ts', 'mount-table.ts', 'symlinks.ts'],
  ['workers'],
  [
    'lanes.ts',
    'mount-reader.ts',
    'stats.ts',
    'zeros.ts',
    'late-results.ts',
    'read-pattern.ts',
    'daemon-habits.ts',
  ],
  ['quarantine.ts', 'opinions.ts', 'canonical-path.ts'],
  [
    'inquiry.ts',
    'read-permits.ts',
    'retries.ts',
    'descriptor.ts',
    'footholds.ts',
    'folder-watches.ts',
    'watch.ts',
  ],
  ['file-services.ts', 'probe.ts', 'surveys.ts'],
  ['opened-file.ts'],
  ['file.ts'],
  ['files.ts'],
  ['mounted.ts'],
  ['mount-set.ts'],
  ['source.ts'],
];

/** For src/cache, which lies between the two: from pieces of memory to the files of an export. */
const cache = [
  ['limits.ts', 'source.ts', 'memory.ts'],
  ['streams.ts', 'chunks.ts'],
  ['extent.ts'],
  ['block-cache.ts', 'read-ahead.ts', 'reading.ts'],
  ['cached-file.ts'],
  ['content-cache.ts'],
];

/** And for src/tree: from what a node is to what both protocols see of an export. */
const tree = [
  [
    'contract.ts',
    'errors.ts',
    'limits.ts',
    'names.ts',
    'siphash.ts',
    'patience.ts',
    'outage.ts',
    'remembered.ts',
    'recently-made.ts',
    'id-table.ts',
  ],
  ['identity.ts', 'attributes.ts', 'failures.ts'],
  ['handle.ts', 'snapshot.ts', 'availability.ts'],
  ['node.ts'],
  ['registry.ts', 'changes.ts', 'waiters.ts', 'times-policy.ts'],
  ['observations.ts'],
  ['listings.ts', 'warm.ts'],
  ['looks.ts'],
  ['lookups.ts', 'content.ts', 'pins.ts'],
  ['resolver.ts'],
  ['tree.ts'],
  ['hold.ts', 'listing-view.ts'],
];

/** And for src/mounter: from what a mount is made of to the program. */
const mounter = [
  ['options.ts', 'program.ts', 'address.ts', 'credentials.ts'],
  ['node.ts'],
  ['mounter.ts'],
  ['text.ts'],
  ['http.ts'],
  ['index.ts'],
];

const escape = (name) => name.replaceAll('.', '\\.');
const path = (root, names) =>
  `^${root}/(${names.map((name) => (name.includes('.') ? `${escape(name)}$` : `${name}/`)).join('|')})`;

/** A rule for each layer but the topmost: nothing above it is imported from it. */
const layers = (name, root, list) =>
  list.slice(0, -1).map((layer, index) => ({
    name: `${name}-${layer[0]}`,
    comment: `${layer.join(', ')} know nothing of what is built on them`,
    severity: 'error',
    from: { path: path(root, layer) },
    to: { path: path(root, list.slice(index + 1).flat()) },
  }));

/** Parts of src that know little of the rest: what each may import besides itself. */
const apart = [
  // The browser's code shares types and formats with the program, nothing more.
  ['page', ['admin/status.ts', 'admin/state.ts', 'admin/format.ts']],
  ['doctor', ['config/index.ts', 'kernel-version.ts', 'mounter/options.ts', 'source/mount-table.ts']],
  ['measure', []],
  ['discovery', ['log/index.ts']],
];

const alone = apart.map(([folder, others]) => ({
  name: `apart-${folder}`,
  comment: `src/${folder} imports nothing else of src than ${others.join(', ') || 'itself'}`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: [`^src/${folder}/`, ...others.map((file) => `^src/${escape(file)}$`)] },
}));

export default {
  forbidden: [
    ...alone,
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...layers('smb2', 'protocols/smb2/src', smb2),
    ...layers('source', 'src/source', source),
    ...layers('cache', 'src/cache', cache),
    ...layers('tree', 'src/tree', tree),
    ...layers('mounter', 'src/mounter', mounter),
    {
      name: 'mounter-alone',
      comment: 'a node needs nothing of the gateway to mount it, but the formats that both read',
      severity: 'error',
      from: { path: '^src/mounter/' },
      to: {
        path: '^src/',
        pathNot:
          '^src/(mounter/|config/|log/|kernel-version\\.ts$|admin/(host|answer)\\.ts$|source/mount-table\\.ts$)',
      },
    },
    ...layers('source-cache-tree', 'src', [['source'], ['cache'], ['tree']]),
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: ['node_modules', 'dist/'] },
    exclude: { path: ['\\.test\\.ts$', 'node_modules', 'dist/'] },
  },
};
