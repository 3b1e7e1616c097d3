/** Reads Debian mirrors from apt's own lists, so that this project names no mirror. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** sources.list(5): stanzas of fields, or one line for each source. */
export type ListFormat = 'deb822' | 'one-line';

/** A copy of the Debian archive. */
export interface Mirror {
  readonly uri: string;
  /** The options that make apt trust the mirror, as deb822 fields; `signed-by` may hold a whole key. */
  readonly options: Readonly<Record<string, string>>;
}

interface Source extends Mirror {
  readonly types: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  readonly enabled: boolean;
}

const APT = '/etc/apt';
/** Names of the main archive's suites besides the system's own codename. Security and updates have a suffix. */
const ROLLING_SUITES = ['oldoldstable', 'oldstable', 'stable', 'testing', 'unstable', 'sid'];
/** The options that decide whether apt trusts a mirror. */
const TRUST_OPTIONS = [
  'signed-by',
  'trusted',
  'allow-insecure',
  'allow-weak',
  'check-valid-until',
  'check-date',
];

const words = (text = '') => text.split(/\s+/).filter((word) => word !== '');

function trustOptions(fields: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...fields].filter(([name]) => TRUST_OPTIONS.includes(name)));
}

/** The fields of a stanza, names in lower case. Continuation lines stay as they are. */
function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name: string | undefined;
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const field = /^([^\s:]+):(.*)$/.exec(line);
    if (field) {
      name = field[1]!.toLowerCase();
      fields.set(name, field[2]!.trim());
    } else if (name !== undefined && /^\s/.test(line)) {
      fields.set(name, `${fields.get(name)!}\n${line}`);
    }
  }
  return fields;
}

function fromStanza(stanza: string): Source[] {
  const fields = fieldsOf(stanza);
  return words(fields.get('uris')).map((uri) => ({
    uri,
    options: trustOptions(fields),
    types: words(fields.get('types')),
    suites: words(fields.get('suites')),
    components: words(fields.get('components')),
    enabled: fields.get('enabled')?.toLowerCase() !== 'no',
  }));
}

function fromLine(line: string): Source[] {
  const entry = /^\s*(deb\S*)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)([^#]*)/.exec(line);
  if (!entry) return [];
  const [, type, options, uri, suite, components] = entry;
  const fields = words(options).flatMap((option): [string, string][] => {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(option) ?? [];
    // The one-line format separates values by commas, deb822 by spaces.
    return name === undefined ? [] : [[name.toLowerCase(), value!.replaceAll(',', ' ')]];
  });
  return [
    {
      uri: uri!,
      options: trustOptions(new Map(fields)),
      types: [type!],
      suites: [suite!],
      components: words(components),
      enabled: true,
    },
  ];
}

/** The mirrors of Debian's main archive that a list names. `codename`: the system's own suite. */
export function mirrorsIn(list: string, format: ListFormat, codename: string): Mirror[] {
  const sources =
    format === 'deb822' ? list.split(/\n\s*\n/).flatMap(fromStanza) : list.split('\n').flatMap(fromLine);
  return sources
    .filter(
      ({ enabled, types, suites, components }) =>
        enabled &&
        types.includes('deb') &&
        components.includes('main') &&
        suites.some((suite) => suite === codename || ROLLING_SUITES.includes(suite)),
    )
    .map(({ uri, options }) => ({ uri, options }));
}

/** The codename of the installed Debian release, or '' on other systems. */
export function systemCodename(): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^VERSION_CODENAME="?([^"\n]*)/m.exec(release)?.[1] ?? '';
}

/** The mirrors that the system's apt uses, in the order of its lists, each once. */
export function systemMirrors(): Mirror[] {
  const codename = systemCodename();
  const parts = join(APT, 'sources.list.d');
  const files = [
    join(APT, 'sources.list'),
    ...(existsSync(parts) ? readdirSync(parts).sort() : []).map((name) => join(parts, name)),
  ].filter((file) => existsSync(file) && /\.(list|sources)$/.test(file));
  const mirrors = files.flatMap((file) =>
    mirrorsIn(readFileSync(file, 'utf8'), file.endsWith('.sources') ? 'deb822' : 'one-line', codename),
  );
  return [...new Map(mirrors.map((mirror) => [mirror.uri, mirror])).values()];
}

/** A deb822 stanza that gets `suite` from `mirror`: the index of its packages and nothing else. */
export function sourceStanza({ uri, options }: Mirror, suite: string): string {
  const fields = {
    Types: 'deb',
    URIs: uri,
    Suites: suite,
    Components: 'main',
    Targets: 'Packages',
    ...options,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}
