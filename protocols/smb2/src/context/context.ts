/** What everything may use: settings, limits, hooks and pools. It knows nobody who uses it. */
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
  /** Who asks when the server does something by itself. */
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
