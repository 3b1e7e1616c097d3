import { LeaseState } from '../wire/constants.ts';
import { ACK_REQUIRED, leaseBreakNotification } from '../wire/oplock-break.ts';
import { reply } from '../context/reply.ts';
import { Caching } from './caching.ts';
import type { CachedFile, CacheHolder } from './caching.ts';

const { READ, WRITE, HANDLE, NONE } = LeaseState;

/** Whether the combination is valid. A request for any other combination is granted nothing ([MS-SMB2] 2.2.13.2.8). */
export const isLeaseState = (state: number): boolean =>
  state === NONE ||
  state === READ ||
  state === (READ | HANDLE) ||
  state === (READ | WRITE) ||
  state === (READ | WRITE | HANDLE);

export const leaseId = (clientGuid: Buffer, key: Buffer): string =>
  clientGuid.toString('hex') + key.toString('hex');

/** The lease context of a CREATE (2.2.13.2.8, 2.2.13.2.10). */
export interface LeaseRequest {
  readonly version: 1 | 2;
  readonly key: Buffer;
  readonly state: number;
  readonly epoch: number;
  readonly parentKey: Buffer | undefined;
}

/** Leases of all clients, by {@link leaseId}. */
export type LeaseTable = Map<string, Lease>;

export class Lease extends Caching {
  readonly kind = 'lease';
  readonly id: string;
  readonly key: Buffer;
  readonly version: 1 | 2;
  readonly parentKey: Buffer | undefined;
  epoch: number;
  readonly opens = new Set<CacheHolder>();

  constructor(
    file: CachedFile,
    init: { id: string; key: Buffer; version: 1 | 2; parentKey: Buffer | undefined; epoch: number },
    timeoutMs: number,
  ) {
    super(file, NONE, timeoutMs);
    this.id = init.id;
    this.key = init.key;
    this.version = init.version;
    this.parentKey = init.parentKey;
    this.epoch = init.epoch;
  }

  /** Each change of state increments the epoch ([MS-SMB2] 3.3.1.12). */
  upgrade(state: number): void {
    if (state === this.state) return;
    this.state = state;
    this.epoch = (this.epoch + 1) & 0xffff;
  }

  protected step(required: number): number {
    return required;
  }

  protected override begin(): void {
    this.epoch = (this.epoch + 1) & 0xffff;
  }

  protected needsAck(): boolean {
    return (this.state & (WRITE | HANDLE)) !== 0;
  }

  protected notify(to: number, ackRequired: boolean): boolean {
    const body = reply(leaseBreakNotification, {
      newEpoch: this.version === 2 ? this.epoch : 0,
      flags: ackRequired ? ACK_REQUIRED : 0,
      leaseKey: this.key,
      currentState: this.state,
      newState: to,
    });
    for (const open of this.opens) if (open.tell(body)) return true;
    return false;
  }

  protected reachable(): boolean {
    return [...this.opens].some(({ isConnected }) => isConnected);
  }

  protected abandoned(to: number): void {
    this.state = to;
    for (const open of [...this.opens]) if (!open.isConnected && !open.isPersistent) open.dispose();
  }

  sameAs(open: CacheHolder): boolean {
    return open.caching === this;
  }
}
