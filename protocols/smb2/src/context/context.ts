/** Settings, limits, hooks and pools, for all parts of the server. It depends on none of them. */
import type { Caller } from '../backend.ts';
import { StatusError } from '../errors.ts';
import type { Hooks } from '../hooks.ts';
import type { Limits } from '../limits.ts';
import { BufferPool } from './buffer-pool.ts';
import type { ServerSettings } from './settings.ts';

export class ServerContext {
  readonly settings: ServerSettings;
  readonly limits: Limits;
  readonly hooks: Hooks;
  readonly pool: BufferPool;
  readonly startTime = Date.now();
  /** The caller when the server itself starts an operation. */
  readonly nobody: Caller = { userName: '', guest: true, address: '' };
  readonly neverAborted: AbortSignal = new AbortController().signal;

  constructor(settings: ServerSettings, limits: Limits, hooks: Hooks) {
    this.settings = settings;
    this.limits = limits;
    this.hooks = hooks;
    this.pool = new BufferPool(limits.maxPooledBytes);
  }

  reportUnlessExpected(error: unknown, where: string): void {
    if (!(error instanceof StatusError)) this.hooks.bug?.(error, where);
  }
}
