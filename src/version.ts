import { readFileSync } from 'node:fs';

/** The version in package.json, which lies one folder up from the sources and two from dist/app. */
export function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as Record<
        string,
        unknown
      >;
      if (found.name === 'holdfast' && typeof found.version === 'string') return found.version;
    } catch {
      // The next place may have it.
    }
  }
  return 'unknown';
}
