/**
 * Which messages must be signed or sealed (encrypted), and what happens to the others ([MS-SMB2] 3.3.4.1.1, 3.3.4.1.4,
 * 3.3.5.2). The first row that applies decides.
 */
import { Command, Dialect } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';

export interface SessionProtection {
  readonly state: 'in-progress' | 'valid' | 'closed';
  /** Guests and anonymous clients have no key. */
  readonly hasKey: boolean;
  readonly signingRequired: boolean;
  readonly encryptData: boolean;
}

export interface Arrival {
  readonly command: number;
  readonly dialect: number;
  /** SMB2_FLAGS_SIGNED is set. */
  readonly isSigned: boolean;
  /** It has a transform header. */
  readonly isSealed: boolean;
  /** It was sealed by the session of its SessionId. */
  readonly isSealedBySession: boolean;
  /** The session of its SessionId on this connection. */
  readonly session: SessionProtection | undefined;
  /** Whether it is for a share that requires encryption, on a connection that supports it. Called last. */
  isShareSealed(): boolean;
  /** Called only for signed messages of sessions with a key. */
  isSignatureRight(): boolean;
}

export type Verdict = 'accept' | 'disconnect' | NtStatus;

export interface ProtectionRow<T, V> {
  readonly section: string;
  readonly name: string;
  readonly applies: (message: T) => boolean;
  readonly verdict: V;
}

const isPlain = ({ isSigned, isSealed }: Arrival): boolean => !isSigned && !isSealed;

export const arrivals: readonly ProtectionRow<Arrival, Verdict>[] = [
  {
    section: '3.3.5.2.1.1',
    name: 'sealed by another session than it names',
    applies: ({ isSealed, isSealedBySession }) => isSealed && !isSealedBySession,
    verdict: 'disconnect',
  },
  {
    section: '3.3.5.2.4',
    name: 'sealed: the seal is proof enough',
    applies: ({ isSealed }) => isSealed,
    verdict: 'accept',
  },
  {
    section: '3.3.5.2.4',
    name: 'signed for a session that is not there',
    applies: ({ command, isSigned, session }) => isSigned && !session && command !== Command.SESSION_SETUP,
    verdict: Status.USER_SESSION_DELETED,
  },
  {
    section: '3.3.5.2.4',
    name: 'signed with a wrong signature',
    applies: (message) => message.isSigned && message.session?.hasKey === true && !message.isSignatureRight(),
    verdict: Status.ACCESS_DENIED,
  },
  {
    section: '3.3.5.2.4',
    name: 'unsigned in a session that signs, whatever the command',
    applies: (message) => isPlain(message) && message.session?.signingRequired === true,
    verdict: Status.ACCESS_DENIED,
  },
  {
    section: '3.3.5.7',
    name: 'unsigned TREE_CONNECT of a 3.1.1 user',
    applies: (message) =>
      isPlain(message) &&
      message.command === Command.TREE_CONNECT &&
      message.dialect === Dialect.SMB_3_1_1 &&
      message.session?.state === 'valid' &&
      message.session.hasKey,
    verdict: 'disconnect',
  },
  {
    section: '3.3.5.5',
    name: 'SESSION_SETUP is never sealed by force',
    applies: ({ command }) => command === Command.NEGOTIATE || command === Command.SESSION_SETUP,
    verdict: 'accept',
  },
  {
    section: '3.3.5.2.9',
    name: 'plaintext in a session that seals',
    applies: ({ session }) => session?.encryptData === true,
    verdict: Status.ACCESS_DENIED,
  },
  {
    section: '3.3.5.2.11',
    name: 'plaintext for a share that seals',
    applies: (message) => message.isShareSealed(),
    verdict: Status.ACCESS_DENIED,
  },
];

export interface Departure {
  readonly command: number;
  readonly status: NtStatus;
  /** Whether the request was signed. */
  readonly isSigned: boolean;
  readonly isSealed: boolean;
  /** Whether the channel has a key to sign with. */
  readonly hasKey: boolean;
  readonly signingRequired: boolean;
}

/** Whether a reply is signed. A reply is sealed exactly when its request was. */
export const departures: readonly ProtectionRow<Departure, boolean>[] = [
  {
    section: '3.3.4.1.1',
    name: 'a sealed reply',
    applies: ({ isSealed }) => isSealed,
    verdict: false,
  },
  {
    section: '3.3.4.1.1',
    name: 'without a key',
    applies: ({ hasKey }) => !hasKey,
    verdict: false,
  },
  {
    // With GMAC it would have the same nonce as the final reply.
    section: '3.3.4.1.1',
    name: 'an interim reply',
    applies: ({ status }) => status === Status.PENDING,
    verdict: false,
  },
  {
    section: '3.3.5.5.3',
    name: 'the last reply of a SESSION_SETUP proves the key',
    applies: ({ command, status }) => command === Command.SESSION_SETUP && status === Status.SUCCESS,
    verdict: true,
  },
  {
    section: '3.3.4.1.1',
    name: 'in a session that signs',
    applies: ({ signingRequired }) => signingRequired,
    verdict: true,
  },
  {
    section: '3.3.4.1.1',
    name: 'to a signed request',
    applies: ({ isSigned }) => isSigned,
    verdict: true,
  },
];

/**
 * OPLOCK_BREAK notifications are never signed. They are sealed if the session or the share requires encryption
 * (3.3.4.6, 3.3.4.7).
 */
export const sealsNotifications = (
  { encryptData }: Pick<SessionProtection, 'encryptData'>,
  isShareSealed: boolean,
): boolean => encryptData || isShareSealed;

export function judgeArrival(message: Arrival): Verdict {
  for (const row of arrivals) if (row.applies(message)) return row.verdict;
  return 'accept';
}

export function signsReply(reply: Departure): boolean {
  for (const row of departures) if (row.applies(reply)) return row.verdict;
  return false;
}
