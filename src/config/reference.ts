/** Makes deploy/CONFIGURATION.md, the Markdown reference of all settings, from the schema. */
import { jsonSchema } from './schema.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

/** Headings of the sections, by the path of the setting. */
const headings: Readonly<Record<string, string>> = {
  '': 'The file',
  'exports.NAME': 'An export',
  'exports.NAME.smb': 'Access by SMB',
  'exports.NAME.smb.users[]': 'A user of SMB',
  'exports.NAME.nfs': 'Access by NFS',
  'exports.NAME.readAhead': 'Reading ahead',
  smb: 'The SMB server',
  nfs: 'The NFS server',
  admin: 'The admin port',
  'run[]': 'A child',
  cache: 'Content in memory',
  log: 'Logs',
};

const code = (value: unknown) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

/** The text for the allowed values of a setting. */
function typeText(schema: Schema): string {
  if (schema.anyOf) return schema.anyOf.map(typeText).join(' or ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum) return schema.enum.map(code).join(', ');
  if (schema.type === 'array') return `list of ${schema.items ? typeText(schema.items) : 'values'}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.type === 'integer' || schema.type === 'number') return numberText(schema);
  if (schema.type === 'object') return 'mapping';
  return 'text';
}

function numberText({ type, minimum, exclusiveMinimum, maximum }: Schema): string {
  const kind = type === 'integer' ? 'whole number' : 'number';
  const low =
    minimum === undefined
      ? exclusiveMinimum === undefined
        ? ''
        : ` above ${exclusiveMinimum}`
      : ` from ${minimum}`;
  const high = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`;
  return `${kind}${low}${high}`;
}

/** The text for a default; empty for an empty mapping. */
function defaultText(schema: Schema, isRequired: boolean): string {
  if (isRequired) return 'required';
  const { default: value } = schema;
  const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  return value === undefined || (isEmpty && !Array.isArray(value)) ? '' : code(value);
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function section(path: string, schema: Schema, level: number): string[] {
  const { properties = {}, required = [] } = schema;
  const title = headings[path];
  if (title === undefined) throw new Error(`${path} needs a heading`);
  const rows = Object.entries(properties).map(([name, one]) => {
    const text = [
      `\`${name}\``,
      typeText(one),
      defaultText(one, required.includes(name)),
      one.description ?? '',
    ];
    return `| ${text.map(cell).join(' | ')} |`;
  });
  const place = path === '' ? '' : ` (\`${path}\`)`;
  const below = Object.entries(properties).flatMap(([name, one]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const { additionalProperties, items } = one;
    if (typeof additionalProperties === 'object')
      return section(`${at}.NAME`, additionalProperties, level + 1);
    if (items?.properties) return section(`${at}[]`, items, level + 1);
    return one.properties ? section(at, one, level + 1) : [];
  });
  return [
    `${'#'.repeat(level)} ${title}${place}`,
    '',
    '| setting | allowed | default | |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    ...below,
  ];
}

export function referenceText(): string {
  const lines = [
    '# Configuration',
    '',
    'Made from the schema (`src/config/schema.ts`) by `UPDATE_SCHEMA=1 npx vitest run --project unit src/config/schema.test.ts`; do not edit.',
    '`holdfast init` writes a first file, `holdfast check FILE` checks one, and',
    '[config.example.yaml](config.example.yaml) shows every setting with its default. Options of the command line override the environment,',
    'which overrides the file. Relative paths start at the folder of the file. [config.users.yaml](config.users.yaml) is an export with passwords,',
    'and [config.schema.json](config.schema.json) is for editors. For each problem of a file there is one line with its place and the allowed values; then the exit code',
    'is 2, and nothing is started:',
    '',
    '```',
    '$ holdfast check holdfast.yaml',
    'holdfast.yaml:4:5: exports.dfs.readonly: unknown key (did you mean readOnly?); expected one of path, expectFuse, …',
    '```',
    '',
    '| variable | sets |',
    '| --- | --- |',
    '| `HOLDFAST_CONFIG` | the file |',
    '| `HOLDFAST_NFS_LISTEN`, `HOLDFAST_SMB_LISTEN`, `HOLDFAST_ADMIN_LISTEN` | `nfs.listen`, `smb.listen`, `admin.listen` |',
    '| `HOLDFAST_LOG_LEVEL`, `HOLDFAST_STATE`, `HOLDFAST_IDENTITY`, `HOLDFAST_SECRET_FILE` | `log.level`, `state`, `identity`, `secretFile` |',
    '',
    ...section('', jsonSchema(), 2),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
