/** A YAML configuration file: its value, and where in the text everything stands. */
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml';
import { isMapping, keyText, type Path, type Problem } from './problems.ts';

/** Characters. A configuration is far smaller; a wrong file need not be parsed to be refused. */
const longestText = 1 << 20;
/** Levels of the text that have positions of their own; the deepest setting is at the sixth. */
const deepest = 16;

export interface ConfigDocument {
  readonly value: unknown;
  /** What is wrong with the text itself. */
  readonly problems: readonly Problem[];
  /** `file:line:column` of the key or value at a path, or of the nearest thing above it. */
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
  // Keys given twice are reported below, with their full names.
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
    // An empty file says nothing, which is a configuration as well.
    return (document.toJS() as unknown) ?? {};
  } catch (error) {
    problems.push({ origin: place(0), key: '', message: oneLine((error as Error).message) });
    return {};
  }
}

/** Notes where keys and values stand. What an alias stands for is not followed: the alias is what can be mended. */
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

/** Puts a value where a path leads, making mappings on the way; what is no mapping there already is left to be refused. */
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
