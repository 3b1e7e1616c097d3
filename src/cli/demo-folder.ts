import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A plain folder with a tree like that of a debrid mount, in the temp folder. */
export interface DemoFolder {
  readonly path: string;
  /** A file to read, as a path in the folder. */
  readonly sample: string;
  /** Removes the folder. It may be called again. */
  remove(): void;
}

/** Bytes of each video. The content does not matter. */
const videoSize = 4 * 1024 * 1024;

const releaseName = (index: number) => `Some.Film.${index}.2024.1080p.WEB.x264-GROUP`;

export function makeDemoFolder(): DemoFolder {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
  const remove = () => rmSync(path, { recursive: true, force: true });
  const video = Buffer.alloc(videoSize, 'Holdfast demo. ');
  try {
    for (const name of ['__all__', '__bad__', 'torrents', 'nzbs']) mkdirSync(join(path, name));
    for (let index = 1; index <= 5; index++) {
      const release = join(path, '__all__', releaseName(index));
      mkdirSync(release);
      writeFileSync(join(release, 'video.mkv'), video);
      writeFileSync(join(release, 'video.en.srt'), '1\n00:00:01,000 --> 00:00:02,000\nHello.\n');
    }
    writeFileSync(join(path, 'version.txt'), 'v1.1.0\n');
    symlinkSync('__all__', join(path, 'latest'));
  } catch (error) {
    remove();
    throw error;
  }
  return { path, sample: `/__all__/${releaseName(1)}/video.mkv`, remove };
}
