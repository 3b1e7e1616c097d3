import type { Open } from './open.ts';
import type { PipeOpen } from './pipe-open.ts';

export type AnyOpen = Open | PipeOpen;
