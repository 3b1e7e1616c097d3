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

export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...layers('smb2', 'protocols/smb2/src', smb2),
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: ['node_modules', 'dist/'] },
    exclude: { path: ['\\.test\\.ts$', 'node_modules', 'dist/'] },
  },
};
