/** The methods of SourceFile that the cache uses. */
import type { SourceFile } from '../source/file.ts';

export type { TryOptions, TryOutcome } from '../source/file.ts';
export type { Wanted } from '../source/file-services.ts';

export type ByteSource = Pick<SourceFile, 'read' | 'tryRead' | 'fetchesAhead'>;
