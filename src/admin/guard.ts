/**
 * Decides which clients may see names (paths and addresses) and which may run actions. With a token: clients that send it may do
 * both, and clients at addresses that the configuration allows may see names. Without a token: allowed addresses may see names,
 * and run actions if they are loopback.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopback } from './host.ts';
import type { Rights } from './status.ts';

export interface GuardOptions {
  /** Whether the configuration allows clients at this address to see paths and addresses. */
  readonly details: (address: string) => boolean;
  /** The token of the admin port, if configured. */
  readonly token?: string | undefined;
}

const cookieName = 'holdfast';
/** 30 days. */
const cookieSeconds = 2_592_000;

export class Guard {
  readonly #details: GuardOptions['details'];
  readonly #token: string | undefined;
  /** Derived from the token, so that the browser does not store the token itself. */
  readonly #cookie: string;

  constructor({ details, token }: GuardOptions) {
    this.#details = details;
    this.#token = token;
    this.#cookie = createHmac('sha256', token ?? '')
      .update('holdfast admin cookie')
      .digest('base64url');
  }

  rights({ headers, socket }: IncomingMessage): Rights {
    const address = socket.remoteAddress ?? '';
    if (this.#token === undefined) {
      const here = isLoopback(address);
      return { names: this.#details(address), acts: here && this.#details(address), token: false };
    }
    const proven = this.#shows(headers.authorization) || this.#has(headers.cookie);
    return { names: proven || this.#details(address), acts: proven, token: true };
  }

  /** Whether the client has sent a token that is not the token. */
  hasWrongToken({ headers }: IncomingMessage): boolean {
    const given = tokenIn(headers.authorization);
    return this.#token !== undefined && given !== undefined && !this.isToken(given);
  }

  /** Whether `given` is the token. */
  isToken(given: string): boolean {
    return this.#token !== undefined && same(given, this.#token);
  }

  /** The value of Set-Cookie for a client that has sent the token. */
  get cookie(): string {
    return `${cookieName}=${this.#cookie}; Path=/; Max-Age=${cookieSeconds}; HttpOnly; SameSite=Strict`;
  }

  #shows(authorization: string | undefined): boolean {
    const given = tokenIn(authorization);
    return given !== undefined && this.isToken(given);
  }

  #has(cookies: string | undefined): boolean {
    return (cookies ?? '').split(';').some((pair) => {
      const [name, value = ''] = pair.trim().split('=', 2);
      return name === cookieName && same(value, this.#cookie);
    });
  }
}

const tokenIn = (authorization: string | undefined): string | undefined =>
  /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];

/** Compares in constant time, so that the time does not show how much of a guess is right. */
function same(given: string, wanted: string): boolean {
  const digest = (text: string) => createHmac('sha256', 'holdfast').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
