/**
 * Who may see names and who may change something. With a token: whoever shows it; addresses that the configuration names see
 * names without. Without a token: this machine, by loopback, may do both.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopback } from './host.ts';
import type { Rights } from './status.ts';

export interface GuardOptions {
  /** Whether a client of this address is shown paths and addresses. */
  readonly details: (address: string) => boolean;
  /** The secret of the admin port, if there is one. */
  readonly token?: string | undefined;
}

const cookieName = 'holdfast';
/** 30 days. */
const cookieSeconds = 2_592_000;

export class Guard {
  readonly #details: GuardOptions['details'];
  readonly #token: string | undefined;
  /** Stands for the token in the browser, which need not know the token itself. */
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

  /** Whether this is the token. */
  isToken(given: string): boolean {
    return this.#token !== undefined && same(given, this.#token);
  }

  /** The value of Set-Cookie for somebody who has shown the token. */
  get cookie(): string {
    return `${cookieName}=${this.#cookie}; Path=/; Max-Age=${cookieSeconds}; HttpOnly; SameSite=Strict`;
  }

  #shows(authorization: string | undefined): boolean {
    const [, given] = /^Bearer (.+)$/i.exec(authorization ?? '') ?? [];
    return given !== undefined && this.isToken(given);
  }

  #has(cookies: string | undefined): boolean {
    return (cookies ?? '').split(';').some((pair) => {
      const [name, value = ''] = pair.trim().split('=', 2);
      return name === cookieName && same(value, this.#cookie);
    });
  }
}

/** In a time that tells nothing of how much of it is right. */
function same(given: string, wanted: string): boolean {
  const digest = (text: string) => createHmac('sha256', 'holdfast').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
