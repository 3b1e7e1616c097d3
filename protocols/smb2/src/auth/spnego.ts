/** SPNEGO tokens (RFC 4178 with [MS-SPNG] 2.2), for a server whose only mechanism is NTLMSSP. */
import { derContent, DerReader, encodeDer } from './der.ts';
import { malformed } from './errors.ts';

export const NegState = { ACCEPT_COMPLETED: 0, ACCEPT_INCOMPLETE: 1, REJECT: 2, REQUEST_MIC: 3 } as const;
export type NegState = (typeof NegState)[keyof typeof NegState];

export interface NegTokenInit {
  readonly kind: 'init';
  /** MechTypeList as the client encoded it. The mechListMIC covers these bytes (RFC 4178 5). */
  readonly mechTypes: Buffer;
  /** Index of NTLMSSP in the client's list of mechanisms; -1 when the client does not offer it. */
  readonly ntlmIndex: number;
  /** Optimistic token of the first mechanism; empty when there is none. */
  readonly mechToken: Buffer;
}

export interface NegTokenResp {
  readonly kind: 'response';
  readonly negState: number | undefined;
  /** Empty when there is none. */
  readonly responseToken: Buffer;
  readonly mechListMic: Buffer | undefined;
}

const GSS_TOKEN = 0x60;
const SEQUENCE = 0x30;
const OID = 0x06;
const OCTET_STRING = 0x04;
const ENUMERATED = 0x0a;
const GENERAL_STRING = 0x1b;
const context = (number: number): number => 0xa0 | number;

const SPNEGO_OID = Buffer.from('2b0601050502', 'hex'); // 1.3.6.1.5.5.2
const NTLMSSP_OID = Buffer.from('2b06010401823702020a', 'hex'); // 1.3.6.1.4.1.311.2.2.10
const NOT_DEFINED = Buffer.from('not_defined_in_RFC4178@please_ignore');

/** Longest MechTypeList, in bytes. It is kept for mechListMIC before the client is known; real ones are below 100 bytes. */
const MAX_MECH_TYPES_SIZE = 1024;

/** Whether a token is SPNEGO, not a bare NTLMSSP message. */
export function isSpnego(token: Buffer): boolean {
  return token[0] === GSS_TOKEN || token[0] === context(1);
}

/**
 * The fields of a NegTokenInit or NegTokenResp by context number. The last of equal fields counts; unknown ones are
 * ignored.
 */
function fields(sequence: Buffer): Map<number, Buffer> {
  const reader = new DerReader(derContent(sequence, SEQUENCE));
  const result = new Map<number, Buffer>();
  while (!reader.atEnd) {
    const { tag, content } = reader.next();
    result.set(tag, content);
  }
  return result;
}

function octets(field: Buffer | undefined): Buffer | undefined {
  return field && derContent(field, OCTET_STRING);
}

function decodeInit(token: Buffer): NegTokenInit {
  const gss = new DerReader(derContent(token, GSS_TOKEN));
  if (!gss.expect(OID).equals(SPNEGO_OID)) throw malformed('GSS token of another mechanism than SPNEGO');
  const init = fields(gss.expect(context(0)));
  const mechTypes = init.get(context(0));
  if (!mechTypes) throw malformed('NegTokenInit without mechTypes');
  if (mechTypes.length > MAX_MECH_TYPES_SIZE) throw malformed('MechTypeList is too long');
  const mechanisms = new DerReader(derContent(mechTypes, SEQUENCE));
  let ntlmIndex = -1;
  for (let index = 0; !mechanisms.atEnd; index++) {
    if (mechanisms.expect(OID).equals(NTLMSSP_OID) && ntlmIndex < 0) ntlmIndex = index;
  }
  return { kind: 'init', mechTypes, ntlmIndex, mechToken: octets(init.get(context(2))) ?? Buffer.alloc(0) };
}

function decodeResponse(token: Buffer): NegTokenResp {
  const response = fields(derContent(token, context(1)));
  const state = response.get(context(0));
  return {
    kind: 'response',
    negState: state && derContent(state, ENUMERATED)[0],
    responseToken: octets(response.get(context(2))) ?? Buffer.alloc(0),
    mechListMic: octets(response.get(context(3))),
  };
}

/** @throws AuthError when the token is malformed. */
export function decodeSpnego(token: Buffer): NegTokenInit | NegTokenResp {
  return token[0] === GSS_TOKEN ? decodeInit(token) : decodeResponse(token);
}

/** The NegTokenInit2 of a NEGOTIATE response ([MS-SPNG] 2.2.1). It offers NTLMSSP. */
export function initialToken(): Buffer {
  const mechTypes = encodeDer(context(0), encodeDer(SEQUENCE, encodeDer(OID, NTLMSSP_OID)));
  const hints = encodeDer(SEQUENCE, encodeDer(context(0), encodeDer(GENERAL_STRING, NOT_DEFINED)));
  const init = encodeDer(context(0), encodeDer(SEQUENCE, mechTypes, encodeDer(context(3), hints)));
  return encodeDer(GSS_TOKEN, encodeDer(OID, SPNEGO_OID), init);
}

export interface ResponseFields {
  readonly negState: NegState;
  /** Set in the first reply only (RFC 4178 4.2.2). */
  readonly selectsNtlm?: boolean;
  readonly responseToken?: Buffer | undefined;
  readonly mechListMic?: Buffer | undefined;
}

/** A NegTokenResp (RFC 4178 4.2.2). */
export function encodeResponse({
  negState,
  selectsNtlm,
  responseToken,
  mechListMic,
}: ResponseFields): Buffer {
  const content = [encodeDer(context(0), encodeDer(ENUMERATED, Uint8Array.of(negState)))];
  if (selectsNtlm) content.push(encodeDer(context(1), encodeDer(OID, NTLMSSP_OID)));
  if (responseToken) content.push(encodeDer(context(2), encodeDer(OCTET_STRING, responseToken)));
  if (mechListMic) content.push(encodeDer(context(3), encodeDer(OCTET_STRING, mechListMic)));
  return encodeDer(context(1), encodeDer(SEQUENCE, ...content));
}
