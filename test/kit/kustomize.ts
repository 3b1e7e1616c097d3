/**
 * Renders the kustomizations of this project, which use a small part of what there is: resources, generators whose names get no
 * hash, and JSON patches. Anything else is an error, so nothing is left out in silence. (manifests.test.ts compares the result
 * with that of kubectl where it is installed.)
 */
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

interface Generator {
  readonly name: string;
  readonly namespace?: string;
  readonly files: readonly string[];
  readonly options?: { readonly labels?: Readonly<Record<string, string>> };
}

interface Patch {
  readonly target: { readonly kind: string; readonly name: string };
  readonly patch: string;
}

interface Kustomization {
  readonly apiVersion: string;
  readonly kind: string;
  readonly resources?: readonly string[];
  readonly generatorOptions?: { readonly disableNameSuffixHash: true };
  readonly configMapGenerator?: readonly Generator[];
  readonly secretGenerator?: readonly Generator[];
  readonly patches?: readonly Patch[];
}

const fields = [
  'apiVersion',
  'kind',
  'resources',
  'generatorOptions',
  'configMapGenerator',
  'secretGenerator',
  'patches',
];

/** Everything that the kustomization in `folder` comes to. `secrets`: contents of generator files that are not there. */
export function render(folder: string, secrets: Readonly<Record<string, string>> = {}): Manifest[] {
  const file = join(folder, 'kustomization.yaml');
  const kustomization = parse(readFileSync(file, 'utf8')) as Kustomization;
  const unknown = Object.keys(kustomization).filter((field) => !fields.includes(field));
  if (unknown.length > 0) throw new Error(`${file}: ${unknown.join(', ')} cannot be rendered here`);
  const { resources = [], configMapGenerator = [], secretGenerator = [], patches = [] } = kustomization;
  if (configMapGenerator.length + secretGenerator.length > 0 && !kustomization.generatorOptions)
    throw new Error(`${file}: names with a hash cannot be rendered here`);
  const manifests = [
    ...resources.flatMap((one) => resource(join(folder, one), secrets)),
    ...configMapGenerator.map((one) => generated(folder, one, 'ConfigMap', secrets)),
    ...secretGenerator.map((one) => generated(folder, one, 'Secret', secrets)),
  ];
  return patches.reduce((all, patch) => patched(file, all, patch), manifests);
}

function resource(path: string, secrets: Readonly<Record<string, string>>): Manifest[] {
  if (statSync(path).isDirectory()) return render(path, secrets);
  return parseAllDocuments(readFileSync(path, 'utf8')).map((document) => {
    if (document.errors.length > 0) throw new Error(`${path}: ${document.errors[0]!.message}`);
    return document.toJS() as Manifest;
  });
}

function generated(
  folder: string,
  { name, namespace, files, options }: Generator,
  kind: 'ConfigMap' | 'Secret',
  secrets: Readonly<Record<string, string>>,
): Manifest {
  const data = files.map((entry) => {
    const [key, file] = entry.includes('=')
      ? (entry.split('=') as [string, string])
      : [basename(entry), entry];
    const text = secrets[file] ?? readFileSync(join(folder, file), 'utf8');
    return [key, kind === 'Secret' ? Buffer.from(text).toString('base64') : text] as const;
  });
  return {
    apiVersion: 'v1',
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...options },
    data: Object.fromEntries(data),
    ...(kind === 'Secret' ? { type: 'Opaque' } : {}),
  };
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value: unknown;
}

function patched(file: string, manifests: readonly Manifest[], { target, patch }: Patch): Manifest[] {
  const found = manifests.filter(
    ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
  );
  if (found.length !== 1) throw new Error(`${file}: ${found.length} of ${target.kind} ${target.name}`);
  const result = structuredClone(found[0]!);
  for (const operation of parse(patch) as readonly Operation[]) apply(file, result, operation);
  return manifests.map((one) => (one === found[0] ? result : one));
}

/** RFC 6902, `add` and `replace` of object members. */
function apply(file: string, document: object, { op, path, value }: Operation): void {
  const keys = path
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop()!;
  let place = document as Record<string, unknown>;
  for (const key of keys) {
    const next = place[key];
    if (typeof next !== 'object' || next === null) throw new Error(`${file}: ${path}: no ${key}`);
    place = next as Record<string, unknown>;
  }
  if (op === 'replace' ? !(last in place) : op !== 'add') throw new Error(`${file}: cannot ${op} ${path}`);
  place[last] = value;
}
