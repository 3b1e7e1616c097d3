import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeDer } from './der.ts';
import { AuthError } from './errors.ts';
import { decodeSpnego, encodeResponse, initialToken, isSpnego, NegState } from './spnego.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const NTLM_OID = '060a2b06010401823702020a';
const KERBEROS_OID = '06092a864886f712010202';

const mechTypes = (...oids: string[]): Buffer => encodeDer(0x30, ...oids.map(hex));
const init = (...fields: Buffer[]): Buffer =>
  encodeDer(0x60, hex('06062b0601050502'), encodeDer(0xa0, encodeDer(0x30, ...fields)));

test('the initial token offers NTLMSSP and the hint', () => {
  expect(initialToken().toString('hex')).toBe(
    '604806062b0601050502a03e303ca00e300c060a2b06010401823702020aa32a3028a0261b24' +
      Buffer.from('not_defined_in_RFC4178@please_ignore').toString('hex'),
  );
});

test('NegTokenInit', () => {
  const list = mechTypes(KERBEROS_OID, NTLM_OID);
  const token = init(
    encodeDer(0xa0, list),
    encodeDer(0xa1, hex('030201ff')),
    encodeDer(0xa2, hex('0403aabbcc')),
  );
  expect(isSpnego(token)).toBe(true);
  expect(decodeSpnego(token)).toEqual({
    kind: 'init',
    mechTypes: list,
    ntlmIndex: 1,
    mechToken: hex('aabbcc'),
  });
  expect(decodeSpnego(init(encodeDer(0xa0, mechTypes(KERBEROS_OID))))).toMatchObject({ ntlmIndex: -1 });
});

test('NegTokenResp, both ways', () => {
  const token = encodeResponse({
    negState: NegState.REQUEST_MIC,
    selectsNtlm: true,
    responseToken: hex('aabb'),
    mechListMic: hex('01'),
  });
  expect(token.toString('hex')).toBe(`a120301ea0030a0103a10c${NTLM_OID}a2040402aabba303040101`);
  expect(decodeSpnego(token)).toEqual({
    kind: 'response',
    negState: NegState.REQUEST_MIC,
    responseToken: hex('aabb'),
    mechListMic: hex('01'),
  });
  expect(encodeResponse({ negState: NegState.ACCEPT_COMPLETED }).toString('hex')).toBe('a1073005a0030a0100');
});

test.each([
  ['an empty GSS token', '6000'],
  ['another mechanism', '600b06092a864886f712010202'],
  ['no mechTypes', init().toString('hex')],
  ['mechTypes that are no list of OIDs', init(encodeDer(0xa0, hex('3003020101'))).toString('hex')],
  ['two values in one field', 'a10a3008a2060401aa0401bb'],
  ['a response that is no sequence', 'a1020500'],
])('refuses %s', (_, token) => {
  expect(() => decodeSpnego(hex(token))).toThrow(AuthError);
});

test('deep nesting costs nothing and is refused', () => {
  let token: Buffer = Buffer.alloc(0);
  for (let depth = 0; depth < 1000; depth++) token = encodeDer(0xa1, token);
  expect(() => decodeSpnego(token)).toThrow(AuthError);
});

test('damaged tokens are decoded or refused', () => {
  const token = init(
    encodeDer(0xa0, mechTypes(NTLM_OID)),
    encodeDer(0xa2, encodeDer(0x04, Buffer.alloc(40))),
  );
  fc.assert(
    fc.property(fc.nat({ max: token.length - 1 }), fc.nat({ max: 255 }), fc.boolean(), (at, value, cut) => {
      const damaged = Buffer.from(cut ? token.subarray(0, at) : token);
      if (!cut) damaged[at] = value;
      try {
        decodeSpnego(damaged);
      } catch (error) {
        expect(error).toBeInstanceOf(AuthError);
      }
    }),
    { numRuns: 1000 },
  );
});
