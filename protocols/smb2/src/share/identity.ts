/** The identity of a session, for access decisions. */
import type { Caller } from '../backend.ts';
import type { ServerContext } from '../context/context.ts';

export interface Identity {
  readonly userName: string;
  readonly domain: string;
  readonly guest: boolean;
  readonly anonymous: boolean;
}

export const NOBODY: Identity = { userName: '', domain: '', guest: false, anonymous: true };

/** Guests and anonymous clients have not proved their identity. */
export const isUnproven = ({ guest, anonymous }: Identity): boolean => guest || anonymous;

export const isSameIdentity = (one: Identity, other: Identity): boolean =>
  one.userName === other.userName && one.guest === other.guest && one.anonymous === other.anonymous;

/** A request or session for which an operation runs. */
export interface Principal {
  readonly identity: Identity;
  readonly caller: Caller;
  readonly context: ServerContext;
}
