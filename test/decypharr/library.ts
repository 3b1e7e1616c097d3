/** The releases of the simulated provider, and their bytes. */
import { createHash } from 'node:crypto';
import { contentSeed } from '../../src/demo/content.ts';

export interface RemoteFile {
  readonly name: string;
  readonly size: number;
  /** The file's link in the account. Decypharr uses its first 39 characters as the file's key. */
  readonly link: string;
}

export interface Release {
  readonly id: string;
  readonly name: string;
  /** 40 hexadecimal digits. */
  readonly hash: string;
  readonly added: string;
  readonly files: readonly RemoteFile[];
}

/** The folder of all releases in Decypharr's tree. */
export const ALL = '/__all__';
const LINK_START = 'https://real-debrid.com/d/';

/** Makes a release of these files. Ids, links and bytes depend on the names only. */
export function makeRelease(
  name: string,
  files: readonly { readonly name: string; readonly size: number }[],
): Release {
  const hash = createHash('sha1').update(name).digest('hex');
  const link = (file: string) =>
    LINK_START + createHash('sha1').update(`${name}/${file}`).digest('hex').slice(0, 13).toUpperCase();
  return {
    id: hash.slice(0, 13).toUpperCase(),
    name,
    hash,
    added: new Date(
      Date.UTC(2024, 0, 1) + (parseInt(hash.slice(0, 6), 16) % 31_536_000) * 1000,
    ).toISOString(),
    files: files.map((file) => ({ ...file, link: link(file.name) })),
  };
}

const numbered = (index: number) => String(index).padStart(5, '0');

/** A film: a release of one file. */
export function film(index: number, size: number): Release {
  const name = `Film.${numbered(index)}.2160p`;
  return makeRelease(name, [{ name: `${name}.mkv`, size }]);
}

/** A season: a release of several files. */
export function season(index: number, episodes: number, size: number): Release {
  const name = `Show.S${numbered(index)}.1080p`;
  return makeRelease(
    name,
    Array.from({ length: episodes }, (_, i) => ({ name: `${name}.E${numbered(i + 1)}.mkv`, size })),
  );
}

export const pathOf = (release: Release, file: RemoteFile = release.files[0]!) =>
  `${ALL}/${release.name}/${file.name}`;

/** The seed of the bytes of the file at a path of the tree. */
export const seedOf = (path: string) => contentSeed(path);
