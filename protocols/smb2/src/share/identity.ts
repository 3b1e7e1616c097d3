/** Who a session belongs to, for everything that decides by it. */
import type { Caller } from '../backend.ts';
import type { ServerContext } from '../context/context.ts';

export interface Identity {
  readonly userName: string;
  readonly domain: string;
  readonly guest: boolean;
  readonly anonymous: boolean;
}

export const NOBODY: Identity = { userName: '', domain: '', guest: false, anonymous: true };

/** Guests and anonymous clients have proved nothing. */
export const isUnproven = ({ guest, anonymous }: Identity): boolean => guest || anonymous;

export const isSameIdentity = (one: Identity, other: Identity): boolean =>
  one.userName === other.userName && one.guest === other.guest && one.anonymous === other.anonymous;

/** A request or session in whose name something is done. */
export interface Principal {
  readonly identity: Identity;
  readonly caller: Caller;
  readonly context: ServerContext;
}
