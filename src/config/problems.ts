/** Error messages about a configuration: one line for each problem. */
import type * as z from 'zod';
import { closest } from './suggest.ts';

export type Path = readonly (string | number)[];

export interface Problem {
  /** `file:line:column`, or the name of the variable or flag. */
  readonly origin: string;
  /** `exports.dfs.nfs.clients[1]`; empty for the document as a whole. */
  readonly key: string;
  readonly message: string;
}

/** The configuration is refused. The message has one line for each problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(problemLine).join('\n'));
    this.problems = problems;
  }
}

function problemLine({ origin, key, message }: Problem): string {
  return [origin, key, message].filter((part) => part !== '').join(': ');
}

export function keyText(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const text = /^[\w.-]+$/.test(part) ? part : JSON.stringify(part);
      return index === 0 ? text : `.${text}`;
    })
    .join('');
}

/** Formats a value for a message: one line, at most 80 characters. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (isMapping(value)) return 'a mapping';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

/** The parts of a JSON Schema node that define the allowed keys. */
interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
}

function knownKeys(schema: SchemaNode, path: Path): string[] {
  let node: SchemaNode | undefined = schema;
  for (const part of path) {
    const others: SchemaNode | boolean | undefined = node?.additionalProperties;
    if (typeof part === 'number') node = node?.items;
    else node = node?.properties?.[part] ?? (typeof others === 'object' ? others : undefined);
  }
  return Object.keys(node?.properties ?? {});
}

export interface Finding {
  readonly path: Path;
  /** Whether the position in the message is that of the key or of the value at `path`. */
  readonly at: 'key' | 'value';
  readonly message: string;
}

/** Turns Zod's issues into this project's messages. `schema` is the JSON Schema of the same declaration. */
export function findingsOf(issues: readonly z.core.$ZodIssue[], raw: unknown, schema: object): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(schema, path);
      return issue.keys.map((key) => {
        const guess = closest(key, known);
        const hint = guess === undefined ? '' : ` (did you mean ${guess}?)`;
        return { path: [...path, key], at: 'key', message: `unknown key${hint}; expected ${listOf(known)}` };
      });
    }
    if (issue.code === 'invalid_key') {
      const allowed = issue.issues[0]?.message ?? issue.message;
      return [{ path, at: 'key', message: `${show(path.at(-1))} is not allowed here; expected ${allowed}` }];
    }
    // A rule about several keys: the message names them.
    if (issue.code === 'custom' && isMapping(valueAt(raw, path)))
      return [{ path, at: 'value', message: `expected ${issue.message}` }];
    const value = valueAt(raw, path);
    if (value === undefined) return [{ path, at: 'value', message: `missing; expected ${issue.message}` }];
    if (value === null) return [{ path, at: 'value', message: `empty; expected ${issue.message}` }];
    return [{ path, at: 'value', message: `${show(value)} is not allowed here; expected ${issue.message}` }];
  });
}

function listOf(keys: readonly string[]): string {
  return keys.length > 1 ? `one of ${keys.join(', ')}` : (keys[0] ?? 'nothing here');
}
