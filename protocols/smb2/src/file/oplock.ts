import { LeaseState, OplockLevel } from '../wire/constants.ts';
import { oplockBreak } from '../wire/oplock-break.ts';
import { reply } from '../context/reply.ts';
import { Caching } from './caching.ts';
import type { CachedFile, CacheHolder } from './caching.ts';
import type { FileId } from '../wire/file-id.ts';

const { READ, WRITE, HANDLE, NONE } = LeaseState;

const stateOf = new Map<number, number>([
  [OplockLevel.NONE, NONE],
  [OplockLevel.II, READ],
  [OplockLevel.EXCLUSIVE, READ | WRITE],
  [OplockLevel.BATCH, READ | WRITE | HANDLE],
]);

/** Lease state bits of an oplock level. */
export const oplockState = (level: number): number => stateOf.get(level) ?? NONE;

/** The highest oplock level within these LeaseState bits. */
export function oplockLevel(state: number): number {
  if ((state & READ) === 0) return OplockLevel.NONE;
  if ((state & WRITE) === 0) return OplockLevel.II;
  return (state & HANDLE) === 0 ? OplockLevel.EXCLUSIVE : OplockLevel.BATCH;
}

export interface OplockHolder extends CacheHolder {
  readonly fileId: FileId;
}

export class Oplock extends Caching {
  readonly kind = 'oplock';
  readonly id = undefined;
  readonly open: OplockHolder;

  constructor(file: CachedFile, open: OplockHolder, state: number, timeoutMs: number) {
    super(file, state, timeoutMs);
    this.open = open;
  }

  get level(): number {
    return oplockLevel(this.state);
  }

  /** Oplocks are broken to level II or to none. */
  protected step(required: number): number {
    return required & READ;
  }

  protected needsAck(): boolean {
    return (this.state & WRITE) !== 0;
  }

  protected notify(to: number): boolean {
    const body = reply(oplockBreak, { oplockLevel: oplockLevel(to), fileId: this.open.fileId });
    return this.open.tell(body);
  }

  protected reachable(): boolean {
    return this.open.isConnected;
  }

  /** A disconnected durable open is closed ([MS-SMB2] 3.3.4.6). */
  protected abandoned(to: number): void {
    this.state = to & READ;
    if (!this.open.isConnected && !this.open.isPersistent) this.open.dispose();
  }

  sameAs(open: CacheHolder): boolean {
    return open === this.open;
  }
}
