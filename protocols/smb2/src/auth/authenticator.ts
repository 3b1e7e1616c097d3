import { malformed } from './errors.ts';
import { checkMechListMic, hasIntegrity, mechListMic, NtlmServer } from './ntlm-server.ts';
import type { AuthIdentity, AuthOptions, NtlmResult } from './ntlm-server.ts';
import { NTLM_MESSAGE, ntlmMessageType } from './ntlm.ts';
import { decodeSpnego, encodeResponse, isSpnego, NegState } from './spnego.ts';
import type { NegTokenInit, NegTokenResp } from './spnego.ts';

export type AuthResult =
  | { readonly done: false; readonly reply: Buffer }
  | {
      readonly done: true;
      readonly reply: Buffer;
      readonly identity: AuthIdentity;
      /** 16 bytes; undefined for guests and anonymous clients, which can neither sign nor seal. */
      readonly sessionKey: Buffer | undefined;
    };

/** The state of the exchange: which token comes next. */
type Stage = 'start' | 'negotiate' | 'authenticate' | 'over';

/**
 * One authentication, from the first SESSION_SETUP request to the last ([MS-SMB2] 3.3.5.5.3). A client that starts with
 * a bare NTLMSSP message gets bare NTLMSSP replies; one that starts with SPNEGO gets SPNEGO.
 */
export class AuthExchange {
  readonly #ntlm: NtlmServer;
  #stage: Stage = 'start';
  /** MechTypeList of a SPNEGO exchange; undefined in a bare NTLMSSP exchange. */
  #mechTypes: Buffer | undefined;
  /** NTLMSSP was not the client's first choice, so both sides send a MIC of the list (RFC 4178 5). */
  #micRequested = false;

  constructor(options: AuthOptions) {
    this.#ntlm = new NtlmServer(options);
  }

  /**
   * Handles the next token of the client.
   *
   * @throws AuthError, after which the exchange is over.
   */
  step(token: Buffer): AuthResult {
    const stage = this.#stage;
    this.#stage = 'over';
    if (stage === 'over') throw malformed('the authentication is over');
    if (stage === 'start' ? !isSpnego(token) : !this.#mechTypes) return this.#bare(stage, token);
    const decoded = decodeSpnego(token);
    if (stage === 'start') return this.#first(decoded);
    if (decoded.kind !== 'response') throw malformed('NegTokenInit in the middle of an exchange');
    if (decoded.negState === NegState.REJECT) throw malformed('the client gave up');
    return stage === 'negotiate' ? this.#negotiate(decoded.responseToken, false) : this.#last(decoded);
  }

  #bare(stage: Stage, token: Buffer): AuthResult {
    if (stage === 'authenticate') return finish(this.#ntlm.authenticate(token), Buffer.alloc(0));
    this.#stage = 'authenticate';
    return { done: false, reply: this.#ntlm.challenge(token) };
  }

  #first(init: NegTokenInit | NegTokenResp): AuthResult {
    if (init.kind !== 'init') throw malformed('NegTokenResp without a NegTokenInit');
    if (init.ntlmIndex < 0) throw malformed('the client does not offer NTLMSSP');
    this.#mechTypes = Buffer.from(init.mechTypes);
    this.#micRequested = init.ntlmIndex > 0;
    // The optimistic token of another mechanism is dropped. Some clients send NTLM's token even when NTLMSSP is not
    // first.
    if (ntlmMessageType(init.mechToken) === NTLM_MESSAGE.NEGOTIATE)
      return this.#negotiate(init.mechToken, true);
    if (init.ntlmIndex === 0 && init.mechToken.length > 0) throw malformed('mechToken is not NTLM');
    this.#stage = 'negotiate';
    const negState = this.#micRequested ? NegState.REQUEST_MIC : NegState.ACCEPT_INCOMPLETE;
    return { done: false, reply: encodeResponse({ negState, selectsNtlm: true }) };
  }

  #negotiate(token: Buffer, isFirstReply: boolean): AuthResult {
    const responseToken = this.#ntlm.challenge(token);
    const negState = isFirstReply && this.#micRequested ? NegState.REQUEST_MIC : NegState.ACCEPT_INCOMPLETE;
    this.#stage = 'authenticate';
    return { done: false, reply: encodeResponse({ negState, selectsNtlm: isFirstReply, responseToken }) };
  }

  #last({ responseToken, mechListMic: clientMic }: NegTokenResp): AuthResult {
    const result = this.#ntlm.authenticate(responseToken);
    let mic: Buffer | undefined;
    if (hasIntegrity(result)) {
      // A missing MIC is accepted: NTLMSSP is the only mechanism, so an attacker cannot have removed a better one.
      const mechTypes = this.#mechTypes!;
      if (clientMic) checkMechListMic(result, mechTypes, clientMic);
      if (clientMic ?? this.#micRequested) mic = mechListMic(result, mechTypes);
    }
    return finish(result, encodeResponse({ negState: NegState.ACCEPT_COMPLETED, mechListMic: mic }));
  }
}

function finish({ identity, sessionKey }: NtlmResult, reply: Buffer): AuthResult {
  return { done: true, reply, identity, sessionKey };
}
