import { randomBytes, timingSafeEqual } from 'node:crypto';
import { Rc4 } from '../crypto/rc4.ts';
import { fileTimeOf } from '../wire/file-time.ts';
import { AuthError, malformed, refused } from './errors.ts';
import { firstMac, hmacMd5, isMicRight, ntowfV2 } from './ntlm-keys.ts';
import {
  AV_FLAG_MIC,
  AvId,
  decodeAuthenticate,
  decodeNegotiate,
  decodeNtlmV2Response,
  encodeAvPairs,
  encodeChallenge,
  NtlmFlag,
} from './ntlm.ts';
import type { Authenticate, NtlmV2Response } from './ntlm.ts';
import { upperCase } from './users.ts';
import type { User, UserStore } from './users.ts';

export interface AuthOptions {
  readonly users: UserStore;
  /** NetBIOS name of the server; upper case and at most 15 characters on the wire. */
  readonly serverName: string;
  /** NetBIOS name of the domain or workgroup. */
  readonly domain: string;
  /** Anonymous clients become guests; so do unknown users if `mapUnknownToGuest` is set. */
  readonly allowGuest: boolean;
  /** Anonymous clients that do not become guests may log on as anonymous. */
  readonly allowAnonymous: boolean;
  /** An unknown user becomes a guest, whatever the password, if `allowGuest` is set. Default: false. */
  readonly mapUnknownToGuest?: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Source of the server challenge. */
  readonly randomBytes?: (size: number) => Buffer;
}

export interface AuthIdentity {
  /** The user's name as in the store; empty for guests and anonymous clients. */
  readonly userName: string;
  /** User name and domain that the client sent, without proof. For logs only. */
  readonly claimedName: string;
  readonly domain: string;
  readonly workstation: string;
  readonly guest: boolean;
  readonly anonymous: boolean;
}

/** The outcome of an NTLM exchange. */
export interface NtlmResult {
  readonly identity: AuthIdentity;
  /** ExportedSessionKey, 16 bytes; undefined for guests and anonymous clients. */
  readonly sessionKey: Buffer | undefined;
  /** Flags that both sides agreed on. */
  readonly flags: number;
}

/** Flags that a client may choose. The server never returns other flags from a client. */
const OPTIONAL_FLAGS =
  NtlmFlag.SIGN |
  NtlmFlag.SEAL |
  NtlmFlag.ALWAYS_SIGN |
  NtlmFlag.EXTENDED_SESSIONSECURITY |
  NtlmFlag.VERSION |
  NtlmFlag.KEY_128 |
  NtlmFlag.KEY_EXCH |
  NtlmFlag.KEY_56;
const SERVER_FLAGS =
  NtlmFlag.UNICODE |
  NtlmFlag.REQUEST_TARGET |
  NtlmFlag.NTLM |
  NtlmFlag.TARGET_TYPE_SERVER |
  NtlmFlag.TARGET_INFO;

/** Service classes of this server's principal names. A response for another service was relayed. */
const OWN_SERVICES = ['CIFS', 'HOST'];
const MAX_NETBIOS_NAME = 15;
const SESSION_KEY_SIZE = 16;
/** Checked in place of an unknown user, so that the answer takes the same time. */
const NOBODY: User = { name: '', ntHash: randomBytes(16) };

const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');
function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

const netbios = (name: string): string => upperCase(name).slice(0, MAX_NETBIOS_NAME);

/** One NTLM exchange: receives NEGOTIATE, sends CHALLENGE, receives AUTHENTICATE ([MS-NLMP] 3.2.5.1). */
export class NtlmServer {
  readonly #options: AuthOptions;
  readonly #serverChallenge: Buffer;
  #negotiate: Buffer = Buffer.alloc(0);
  #challenge: Buffer = Buffer.alloc(0);
  #flags = 0;

  constructor(options: AuthOptions) {
    this.#options = options;
    this.#serverChallenge = (options.randomBytes ?? randomBytes)(8);
  }

  /** @returns the CHALLENGE_MESSAGE for a NEGOTIATE_MESSAGE. */
  challenge(negotiate: Buffer): Buffer {
    const offered = decodeNegotiate(negotiate);
    if (!(offered & NtlmFlag.UNICODE)) throw malformed('NTLM client without Unicode');
    const { serverName, domain, now = Date.now } = this.#options;
    this.#flags = SERVER_FLAGS | (offered & OPTIONAL_FLAGS);
    this.#negotiate = Buffer.from(negotiate);
    this.#challenge = encodeChallenge({
      flags: this.#flags,
      serverChallenge: this.#serverChallenge,
      targetName: netbios(serverName),
      targetInfo: encodeAvPairs([
        [AvId.NB_DOMAIN_NAME, utf16(netbios(domain))],
        [AvId.NB_COMPUTER_NAME, utf16(netbios(serverName))],
        [AvId.DNS_DOMAIN_NAME, Buffer.alloc(0)],
        [AvId.DNS_COMPUTER_NAME, utf16(serverName.toLowerCase())],
        [AvId.TIMESTAMP, uint64(fileTimeOf(now()))],
      ]),
    });
    return this.#challenge;
  }

  /** @throws AuthError: LOGON_FAILURE for a refused logon, INVALID_PARAMETER for a malformed message. */
  authenticate(message: Buffer): NtlmResult {
    const authenticate = decodeAuthenticate(message);
    try {
      return this.#verify(authenticate, message);
    } catch (error) {
      if (!(error instanceof AuthError)) throw error;
      throw new AuthError(error.status, error.message, authenticate.userName);
    }
  }

  #verify(authenticate: Authenticate, message: Buffer): NtlmResult {
    this.#flags &= authenticate.flags;
    const isAnonymous = (authenticate.flags & NtlmFlag.ANONYMOUS) !== 0 && authenticate.userName === '';
    // With mount option `guest`, the Linux cifs client sends no response and no flag, with or without a user name.
    if (isAnonymous || authenticate.ntResponse.length === 0) return this.#withoutUser(authenticate);

    const response = decodeNtlmV2Response(authenticate.ntResponse);
    if (!response) throw refused('the response is not NTLMv2');
    const known = this.#options.users.find(authenticate.userName);
    const { ntHash, name } = known ?? NOBODY;
    const key = ntowfV2(ntHash, authenticate.userName, authenticate.domain);
    const isProven = timingSafeEqual(hmacMd5(key, this.#serverChallenge, response.blob), response.proof);
    if (!known && this.#options.allowGuest && this.#options.mapUnknownToGuest) {
      return this.#result(authenticate, { guest: true });
    }
    if (!known || !isProven) {
      if (!response.isEnded) throw malformed('the AV_PAIRs of the response do not end');
      throw refused('unknown user or wrong password');
    }

    const sessionKey = this.#sessionKey(hmacMd5(key, response.proof), authenticate);
    this.#checkTarget(response);
    const avFlags = response.avPairs.get(AvId.FLAGS);
    if (avFlags?.length === 4 && avFlags.readUInt32LE(0) & AV_FLAG_MIC) {
      if (!isMicRight(sessionKey, this.#negotiate, this.#challenge, message)) {
        throw refused('the MIC of the NTLM exchange is wrong');
      }
    }
    return this.#result(authenticate, { userName: name, sessionKey });
  }

  /** A client without proof of a user: becomes guest if guests are allowed, else anonymous if that is allowed. */
  #withoutUser(authenticate: Authenticate): NtlmResult {
    const { lmResponse, userName } = authenticate;
    if (userName !== '' && lmResponse.length > 1 && lmResponse.some((byte) => byte !== 0)) {
      throw refused('the response is LM only');
    }
    if (this.#options.allowGuest) return this.#result(authenticate, { guest: true });
    if (this.#options.allowAnonymous) return this.#result(authenticate, { anonymous: true });
    throw refused('no anonymous clients are let in');
  }

  #result(
    authenticate: Authenticate,
    who: { userName?: string; guest?: boolean; anonymous?: boolean; sessionKey?: Buffer },
  ): NtlmResult {
    return {
      identity: {
        userName: who.userName ?? '',
        claimedName: authenticate.userName,
        domain: authenticate.domain,
        workstation: authenticate.workstation,
        guest: who.guest ?? false,
        anonymous: who.anonymous ?? false,
      },
      sessionKey: who.sessionKey,
      flags: this.#flags,
    };
  }

  /** ExportedSessionKey ([MS-NLMP] 3.2.5.1.2). With NTLMv2 the key exchange key is the session base key. */
  #sessionKey(sessionBaseKey: Buffer, { encryptedSessionKey }: Authenticate): Buffer {
    if (!(this.#flags & NtlmFlag.KEY_EXCH)) return sessionBaseKey;
    if (encryptedSessionKey.length !== SESSION_KEY_SIZE) {
      // A client that neither signs nor seals may send no session key.
      if (encryptedSessionKey.length === 0 && !(this.#flags & (NtlmFlag.SIGN | NtlmFlag.SEAL))) {
        return sessionBaseKey;
      }
      throw malformed('EncryptedRandomSessionKey is not 16 bytes');
    }
    return new Rc4(sessionBaseKey).update(encryptedSessionKey);
  }

  /** Checks that the client made its response for this server, as far as the response names one. */
  #checkTarget({ avPairs }: NtlmV2Response): void {
    const { serverName, domain } = this.#options;
    const own = [
      [AvId.NB_COMPUTER_NAME, utf16(netbios(serverName))],
      [AvId.NB_DOMAIN_NAME, utf16(netbios(domain))],
    ] as const;
    for (const [id, name] of own) {
      if (avPairs.get(id)?.equals(name) === false) throw refused('the response was made for another server');
    }
    const principal = avPairs.get(AvId.TARGET_NAME)?.toString('utf16le') ?? '';
    const slash = principal.indexOf('/');
    if (slash >= 0 && !OWN_SERVICES.includes(upperCase(principal.slice(0, slash)))) {
      throw refused('the response was made for another service');
    }
  }
}

/** Whether the exchange agreed on what SPNEGO's mechListMIC needs. */
export function hasIntegrity(result: NtlmResult): result is NtlmResult & { sessionKey: Buffer } {
  const needed = NtlmFlag.SIGN | NtlmFlag.EXTENDED_SESSIONSECURITY;
  return result.sessionKey !== undefined && (result.flags & needed) === needed;
}

/** The server's mechListMIC. */
export function mechListMic(result: NtlmResult & { sessionKey: Buffer }, mechTypes: Buffer): Buffer {
  return firstMac(result.sessionKey, 'server-to-client', result.flags, mechTypes);
}

/** @throws AuthError when the client's mechListMIC is wrong. */
export function checkMechListMic(
  result: NtlmResult & { sessionKey: Buffer },
  mechTypes: Buffer,
  mic: Buffer,
): void {
  const expected = firstMac(result.sessionKey, 'client-to-server', result.flags, mechTypes);
  if (mic.length !== expected.length || !timingSafeEqual(mic, expected))
    throw refused('mechListMIC is wrong');
}
