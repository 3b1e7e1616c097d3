import type { Share } from '../file/share.ts';
import type { OpenSession, OpenTree } from '../open/owner.ts';

/** A tree connect ([MS-SMB2] 3.3.1.9). Without a share it is for IPC$. */
export class TreeConnect implements OpenTree {
  readonly id: number;
  readonly session: OpenSession;
  readonly share: Share | undefined;

  constructor(id: number, session: OpenSession, share: Share | undefined) {
    this.id = id;
    this.session = session;
    this.share = share;
  }

  get encrypted(): boolean {
    return this.share?.options.encrypt ?? false;
  }

  get name(): string {
    return this.share?.name ?? 'IPC$';
  }
}
