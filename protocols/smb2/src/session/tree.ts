import type { Session } from './session.ts';
import type { Share } from './share.ts';

/** A tree connect ([MS-SMB2] 3.3.1.9). Without a share it is IPC$. */
export class TreeConnect {
  readonly id: number;
  readonly session: Session;
  readonly share: Share | undefined;

  constructor(id: number, session: Session, share: Share | undefined) {
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
