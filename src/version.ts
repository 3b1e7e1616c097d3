import { readFileSync } from 'node:fs';

/** The version from package.json, which is one folder above src and two above dist/app. */
export function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as Record<
        string,
        unknown
      >;
      if (found.name === 'holdfast' && typeof found.version === 'string') return found.version;
    } catch {
      // Try the next place.
    }
  }
  return 'unknown';
}
