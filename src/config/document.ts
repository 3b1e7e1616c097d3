/** Reads a YAML configuration file: its value, and the position of each key and value in the text. */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml';
import { isMapping, keyText, type Path, type Problem } from './problems.ts';

/** Characters. Configurations are far smaller. A larger file is refused before it is parsed. */
const longestText = 1 << 20;
/** Positions are recorded down to this level; the deepest setting is at level six. */
const deepest = 16;

export interface ConfigDocument {
  readonly value: unknown;
  /** Errors of the YAML text itself. */
  readonly problems: readonly Problem[];
  /** `file:line:column` of the key or value at `path`; if it is not in the text, of its nearest parent. */
  locate(path: Path, at: 'key' | 'value'): string;
}

export function readDocument(text: string, file: string): ConfigDocument {
  const counter = new LineCounter();
  const positions = new Map<string, number>();
  const problems: Problem[] = [];
  const place = (offset: number) => {
    const { line, col } = counter.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const locate = (path: Path, at: 'key' | 'value') => {
    for (let length = path.length; length > 0; length--) {
      const key = JSON.stringify(path.slice(0, length));
      const found = at === 'value' && length === path.length ? positions.get(`value ${key}`) : undefined;
      const offset = found ?? positions.get(`key ${key}`) ?? positions.get(`value ${key}`);
      if (offset !== undefined) return place(offset);
    }
    return place(0);
  };
  if (text.length > longestText) {
    const message = `the file is larger than ${longestText} characters`;
    return { value: {}, problems: [{ origin: file, key: '', message }], locate };
  }
  // Duplicate keys are reported below, with their full path.
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: false });
  for (const { pos, message } of [...document.errors, ...document.warnings])
    problems.push({ origin: place(pos[0]), key: '', message: oneLine(message) });
  const onDuplicate = (path: Path, offset: number) => {
    const message = `given twice (first in line ${counter.linePos(positions.get(`key ${JSON.stringify(path)}`)!).line})`;
    problems.push({ origin: place(offset), key: keyText(path), message: `${message}; expected once` });
  };
  index(document.contents, [], positions, onDuplicate);
  return { value: problems.length > 0 ? {} : valueOf(document, problems, place), problems, locate };
}

function valueOf(
  document: ReturnType<typeof parseDocument>,
  problems: Problem[],
  place: (offset: number) => string,
): unknown {
  try {
    // An empty file counts as an empty mapping.
    return (document.toJS() as unknown) ?? {};
  } catch (error) {
    problems.push({ origin: place(0), key: '', message: oneLine((error as Error).message) });
    return {};
  }
}

/** Records the positions of keys and values. Aliases are not followed: errors point at the alias in the text. */
function index(
  node: Node | null,
  path: Path,
  positions: Map<string, number>,
  onDuplicate: (path: Path, offset: number) => void,
): void {
  if (!node || isAlias(node) || path.length > deepest) return;
  const note = (child: Node, childPath: Path) => {
    positions.set(`value ${JSON.stringify(childPath)}`, child.range?.[0] ?? 0);
    index(child, childPath, positions, onDuplicate);
  };
  if (isSeq(node)) {
    for (const [at, item] of node.items.entries()) if (isNode(item)) note(item, [...path, at]);
  }
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    if (!isScalar(key)) continue;
    const childPath = [...path, String(key.value)];
    const name = `key ${JSON.stringify(childPath)}`;
    const offset = key.range?.[0] ?? 0;
    if (positions.has(name)) {
      onDuplicate(childPath, offset);
      continue;
    }
    positions.set(name, offset);
    if (isNode(value)) note(value, childPath);
  }
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

/** Sets the value at `path` and creates missing mappings. Stops at a parent that is not a mapping: the schema refuses it. */
export function place(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let target = root;
  for (const part of path.slice(0, -1)) {
    target[part] ??= {};
    const next = target[part];
    if (!isMapping(next)) return;
    target = next;
  }
  target[path.at(-1)!] = value;
}
