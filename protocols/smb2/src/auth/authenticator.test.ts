import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  authenticateMessage as authenticate,
  CLIENT_FLAGS,
  negotiateMessage,
} from '../testing/ntlm-client.ts';
import type { NtlmClient } from '../testing/ntlm-client.ts';
import { AuthExchange } from './authenticator.ts';
import type { AuthResult } from './authenticator.ts';
import { encodeDer } from './der.ts';
import { AuthError, AuthStatus } from './errors.ts';
import { firstMac } from './ntlm-keys.ts';
import type { AuthOptions } from './ntlm-server.ts';
import { AvId, NtlmFlag } from './ntlm.ts';
import { decodeSpnego, encodeResponse, NegState } from './spnego.ts';
import { UserStore } from './users.ts';

const PASSWORD = 's3crét';
const users = new UserStore();
users.addPassword('Media', PASSWORD);
const exchange = (options: Partial<AuthOptions> = {}): AuthExchange =>
  new AuthExchange({
    users,
    serverName: 'holdfast',
    domain: 'WORKGROUP',
    allowGuest: false,
    allowAnonymous: false,
    ...options,
  });

const { LOGON_FAILURE, INVALID_PARAMETER } = AuthStatus;
const statusOf = (action: () => unknown): number => {
  try {
    action();
  } catch (error) {
    if (error instanceof AuthError) return error.status;
    throw error;
  }
  return 0;
};

const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');

type Client = Partial<NtlmClient>;

const authenticateMessage = (challenge: Buffer, client: Client) =>
  authenticate(challenge, { userName: 'media', password: PASSWORD, ...client });

/** Runs a whole exchange of bare NTLMSSP messages. */
function logOn(client: Client, options: Partial<AuthOptions> = {}): AuthResult & { key: Buffer } {
  const server = exchange(options);
  const { reply } = server.step(negotiateMessage(client.flags));
  const { message, key } = authenticateMessage(reply, client);
  return { ...server.step(message), key };
}

const who = (step: AuthResult): unknown =>
  step.done && { ...step.identity, key: step.sessionKey !== undefined };
const guest = { userName: '', guest: true, anonymous: false, key: false };
const anonymous = { userName: '', guest: false, anonymous: true, key: false };

describe('users', () => {
  test.each([
    ['with key exchange', CLIENT_FLAGS],
    ['without key exchange', CLIENT_FLAGS & ~NtlmFlag.KEY_EXCH],
  ])('the right password %s', (_, flags) => {
    const step = logOn({ flags });
    expect(step).toMatchObject({
      done: true,
      reply: Buffer.alloc(0),
      identity: { userName: 'Media', claimedName: 'media', domain: 'WORKGROUP', workstation: 'CLIENT' },
      sessionKey: step.key,
    });
  });

  test('whoever proves nothing is refused, guests or not', () => {
    const open = { allowGuest: true, allowAnonymous: true };
    for (const options of [{}, open]) {
      expect(statusOf(() => logOn({ password: 'wrong' }, options))).toBe(LOGON_FAILURE);
      expect(statusOf(() => logOn({ userName: 'zoe' }, options))).toBe(LOGON_FAILURE);
      expect(statusOf(() => logOn({ ntResponse: Buffer.alloc(24, 7) }, options))).toBe(LOGON_FAILURE);
      const lmOnly = { ntResponse: Buffer.alloc(0), lmResponse: Buffer.alloc(24, 7) };
      expect(statusOf(() => logOn(lmOnly, options))).toBe(LOGON_FAILURE);
    }
  });

  test('a refusal tells the log whom', () => {
    for (const client of [{ userName: 'zoe' }, { userName: 'zoe', ntResponse: Buffer.alloc(24) }]) {
      expect(() => logOn(client)).toThrow(expect.objectContaining({ name: 'AuthError', userName: 'zoe' }));
    }
  });

  test('an unknown user becomes a guest where that is asked for, a wrong password never does', () => {
    const options = { allowGuest: true, mapUnknownToGuest: true };
    expect(who(logOn({ userName: 'zoe' }, options))).toMatchObject({ ...guest, claimedName: 'zoe' });
    expect(statusOf(() => logOn({ password: 'wrong' }, options))).toBe(LOGON_FAILURE);
    expect(statusOf(() => logOn({ userName: 'zoe' }, { mapUnknownToGuest: true }))).toBe(LOGON_FAILURE);
  });

  test('a MIC that is announced is checked', () => {
    expect(logOn({ withMic: true }).done).toBe(true);
    const announced: Client = { avPairs: [[AvId.FLAGS, Buffer.from('02000000', 'hex')]] };
    expect(statusOf(() => logOn(announced))).toBe(LOGON_FAILURE);
  });

  test('a response made for another server or service is refused', () => {
    const target = (name: string): Client => ({ avPairs: [[AvId.TARGET_NAME, utf16(name)]] });
    for (const name of ['cifs/other.example', 'HOST/holdfast', 'holdfast', ''])
      expect(logOn(target(name)).done).toBe(true);
    expect(statusOf(() => logOn(target('HTTP/holdfast')))).toBe(LOGON_FAILURE);
    expect(statusOf(() => logOn({ avPairs: [[AvId.NB_COMPUTER_NAME, utf16('OTHER')]] }))).toBe(LOGON_FAILURE);
  });
});

describe('clients without a user', () => {
  const none = Buffer.alloc(0);
  const forms: [string, Client][] = [
    [
      'ANONYMOUS flag',
      {
        userName: '',
        ntResponse: none,
        lmResponse: Buffer.alloc(1),
        flags: CLIENT_FLAGS | NtlmFlag.ANONYMOUS,
      },
    ],
    ['no flag, no name', { userName: '', ntResponse: none }],
    [
      'no flag, a name (the kernel, guest)',
      { userName: 'guest', ntResponse: none, flags: CLIENT_FLAGS & ~NtlmFlag.KEY_EXCH },
    ],
    ['no flag, zeros as LM response', { userName: 'media', ntResponse: none, lmResponse: Buffer.alloc(24) }],
  ];
  test.each(forms)('%s', (_, client) => {
    expect(who(logOn(client, { allowGuest: true, allowAnonymous: true }))).toMatchObject(guest);
    expect(who(logOn(client, { allowAnonymous: true }))).toMatchObject(anonymous);
    expect(statusOf(() => logOn(client))).toBe(LOGON_FAILURE);
  });
});

describe('SPNEGO', () => {
  const NTLM = Buffer.from('060a2b06010401823702020a', 'hex');
  const KERBEROS = Buffer.from('06092a864886f712010202', 'hex');
  const init = (list: Buffer, token?: Buffer): Buffer => {
    const fields = [encodeDer(0xa0, list), ...(token ? [encodeDer(0xa2, encodeDer(0x04, token))] : [])];
    const content = encodeDer(0xa0, encodeDer(0x30, ...fields));
    return encodeDer(0x60, Buffer.from('06062b0601050502', 'hex'), content);
  };
  const response = (step: AuthResult) => {
    const decoded = decodeSpnego(step.reply);
    if (decoded.kind !== 'response') throw new Error('a server answers with NegTokenResp');
    return decoded;
  };
  const last = (
    challenge: Buffer,
    list: Buffer,
    mic: 'right' | 'wrong' | 'none',
    client: Client = {},
  ): Buffer => {
    const { message, key } = authenticateMessage(challenge, client);
    const mechListMic = firstMac(key, 'client-to-server', CLIENT_FLAGS, list);
    if (mic === 'wrong') mechListMic[5]! ^= 1;
    return encodeResponse({
      negState: NegState.ACCEPT_INCOMPLETE,
      responseToken: message,
      mechListMic: mic === 'none' ? undefined : mechListMic,
    });
  };
  const ntlmOnly = encodeDer(0x30, NTLM);
  const kerberosFirst = encodeDer(0x30, KERBEROS, NTLM);
  const serverMic = (list: Buffer): Buffer =>
    firstMac(Buffer.alloc(16, 0x77), 'server-to-client', CLIENT_FLAGS, list);

  test('NTLM first: a MIC answers a MIC', () => {
    for (const mic of ['right', 'none'] as const) {
      const server = exchange();
      const first = response(server.step(init(ntlmOnly, negotiateMessage())));
      expect(first.negState).toBe(NegState.ACCEPT_INCOMPLETE);
      const step = server.step(last(first.responseToken, ntlmOnly, mic));
      expect(who(step)).toMatchObject({ userName: 'Media', key: true });
      expect(response(step).negState).toBe(NegState.ACCEPT_COMPLETED);
      expect(response(step).mechListMic).toEqual(mic === 'right' ? serverMic(ntlmOnly) : undefined);
    }
  });

  test('Kerberos first: its token is dropped and the list is proven', () => {
    const server = exchange();
    const chosen = response(server.step(init(kerberosFirst, Buffer.from('a Kerberos AP-REQ'))));
    expect(chosen).toMatchObject({ negState: NegState.REQUEST_MIC, responseToken: Buffer.alloc(0) });
    const negotiate = encodeResponse({
      negState: NegState.ACCEPT_INCOMPLETE,
      responseToken: negotiateMessage(),
    });
    const second = response(server.step(negotiate));
    expect(second.negState).toBe(NegState.ACCEPT_INCOMPLETE);
    const step = server.step(last(second.responseToken, kerberosFirst, 'right'));
    expect(response(step).mechListMic).toEqual(serverMic(kerberosFirst));
  });

  test('a wrong MIC is refused, but a guest has no key to make one with', () => {
    const server = exchange();
    const { responseToken } = response(server.step(init(kerberosFirst, negotiateMessage())));
    expect(statusOf(() => server.step(last(responseToken, kerberosFirst, 'wrong')))).toBe(LOGON_FAILURE);

    const open = exchange({ allowGuest: true, mapUnknownToGuest: true });
    const challenge = response(open.step(init(ntlmOnly, negotiateMessage()))).responseToken;
    const step = open.step(last(challenge, ntlmOnly, 'wrong', { userName: 'zoe' }));
    expect(who(step)).toMatchObject(guest);
    expect(response(step).mechListMic).toBeUndefined();
  });

  test('an exchange without NTLM, out of order or after its end is malformed', () => {
    const refusedSteps: Buffer[][] = [
      [init(encodeDer(0x30, KERBEROS))],
      [init(ntlmOnly, Buffer.from('not NTLM'))],
      [encodeResponse({ negState: NegState.ACCEPT_INCOMPLETE, responseToken: negotiateMessage() })],
      [init(ntlmOnly, negotiateMessage()), init(ntlmOnly, negotiateMessage())],
      [init(ntlmOnly, negotiateMessage()), negotiateMessage()],
      [init(ntlmOnly, negotiateMessage()), encodeResponse({ negState: NegState.REJECT })],
      [negotiateMessage(), negotiateMessage()],
      [negotiateMessage(CLIENT_FLAGS & ~NtlmFlag.UNICODE)],
      [Buffer.alloc(0)],
      [Buffer.concat([negotiateMessage(), Buffer.alloc(1000)])],
      [init(encodeDer(0x30, NTLM, ...new Array<Buffer>(100).fill(KERBEROS)), negotiateMessage())],
    ];
    for (const steps of refusedSteps) {
      const server = exchange({ allowGuest: true, allowAnonymous: true });
      for (const token of steps.slice(0, -1)) expect(server.step(token).done).toBe(false);
      expect(statusOf(() => server.step(steps.at(-1)!))).toBe(INVALID_PARAMETER);
      expect(statusOf(() => server.step(negotiateMessage()))).toBe(INVALID_PARAMETER);
    }
  });
});

describe('exchanges recorded from other clients, who took the server as it is here', () => {
  const recordings: { client: string; tokens: [string, string]; replies: [string, string]; key: string }[] = [
    {
      client: 'Samba 4.17, MIC and mechListMIC',
      tokens: [
        '604806062b0601050502a03e303ca00e300c060a2b06010401823702020aa22a04284e544c4d53535000010000' +
          '003582086200000000280000000000000028000000060100000000000f',
        'a18201b8308201b4a282019c048201984e544c4d53535000030000001800180058000000ec00ec007000000012' +
          '0012005c0100000a000a006e0100001000100078010000100010008801000035820862060100000000000fa6bc' +
          '691aaa533940a5c939f90f148107000000000000000000000000000000000000000000000000b1c494e6d7d455' +
          '327ce2d63966cffb7401010000000000000040ba19e05bdb01b2565fdacda82d8e000000000200120057004f00' +
          '52004b00470052004f00550050000100100048004f004c0044004600410053005400040000000300100068006f' +
          '006c0064006600610073007400070008000040ba19e05bdb010600040002000000080030003000000000000000' +
          '000000000000000063e795f786dead7f2ede1ac2eaf45800c310d0009864f269eeef0c42233d59000a00100000' +
          '00000000000000000000000000000009001a0063006900660073002f0068006f006c0064006600610073007400' +
          '0000000057004f0052004b00470052004f00550050006d0065006400690061005000590043004c00490045004e' +
          '005400f7a11dc0b1691654924998c2751f0a11a31204100100000008e456fcc9bbca9200000000',
      ],
      replies: [
        'a181b63081b3a0030a0101a10c060a2b06010401823702020aa2819d04819a4e544c4d53535000020000001000' +
          '10003800000035828a620123456789abcdef00000000000000005200520048000000060100000000000f48004f' +
          '004c00440046004100530054000200120057004f0052004b00470052004f00550050000100100048004f004c00' +
          '44004600410053005400040000000300100068006f006c0064006600610073007400070008000040ba19e05bdb' +
          '0100000000',
        'a11b3019a0030a0100a312041001000000a87c0d5a4e0b0c4000000000',
      ],
      key: '1a38af58ffba05fae9fcec49ce54507d',
    },
    {
      client: 'impacket 0.10, no MIC',
      tokens: [
        '604006062b0601050502a0363034a00e300c060a2b06010401823702020aa22204204e544c4d53535000010000' +
          '00358288e000000000000000000000000000000000',
        'a182013430820130a282012c048201284e544c4d53535000030000001800180060000000a000a0007800000012' +
          '001200400000000a000a0052000000040004005c0000001000100018010000358288e057004f0052004b004700' +
          '52004f00550050006d00650064006900610057005300836fe2bdacd50023377015d3e5576a2b357171576f6974' +
          '57b41e34798027eaf627c7adddd626713e01010000000000000040ba19e05bdb01357171576f69745700000000' +
          '0200120057004f0052004b00470052004f00550050000100100048004f004c0044004600410053005400040000' +
          '000300100068006f006c0064006600610073007400070008000040ba19e05bdb0109001a006300690066007300' +
          '2f0048004f004c004400460041005300540000000000000000004264540067360605816c492f77b45967',
      ],
      replies: [
        'a181b63081b3a0030a0101a10c060a2b06010401823702020aa2819d04819a4e544c4d53535000020000001000' +
          '10003800000035828ae00123456789abcdef00000000000000005200520048000000000000000000000048004f' +
          '004c00440046004100530054000200120057004f0052004b00470052004f00550050000100100048004f004c00' +
          '44004600410053005400040000000300100068006f006c0064006600610073007400070008000040ba19e05bdb' +
          '0100000000',
        'a1073005a0030a0100',
      ],
      key: '76464e68764d504358334d4530464778',
    },
  ];
  test.each(recordings)('$client', ({ tokens, replies, key }) => {
    const server = exchange({
      randomBytes: () => Buffer.from('0123456789abcdef', 'hex'),
      now: () => Date.UTC(2025, 0, 1),
    });
    const first = server.step(Buffer.from(tokens[0], 'hex'));
    expect(first.reply.toString('hex')).toBe(replies[0]);
    const second = server.step(Buffer.from(tokens[1], 'hex'));
    expect(second.reply.toString('hex')).toBe(replies[1]);
    expect(who(second)).toMatchObject({ userName: 'Media' });
    expect(second.done && second.sessionKey?.toString('hex')).toBe(key);
  });
});

test('no damage to an AUTHENTICATE_MESSAGE lets anybody in as a user or breaks anything', () => {
  const at = fc.nat({ max: 2000 });
  fc.assert(
    fc.property(at, fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.boolean(), (position, bytes, cut) => {
      const server = exchange();
      const { reply } = server.step(negotiateMessage());
      const { message } = authenticateMessage(reply, { password: 'wrong', withMic: true });
      const place = position % message.length;
      const damaged = cut ? message.subarray(0, place) : message;
      if (!cut) damaged.set(bytes.subarray(0, message.length - place), place);
      expect([LOGON_FAILURE, INVALID_PARAMETER]).toContain(statusOf(() => server.step(damaged)));
    }),
    { numRuns: 1000 },
  );
});

test('any first token is answered or refused', () => {
  const token = fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.concat([Buffer.from('NTLMSSP\0'), bytes])),
    fc
      .uint8Array({ maxLength: 100 })
      .map((bytes) => encodeDer(0x60, Buffer.from('06062b0601050502', 'hex'), bytes)),
  );
  fc.assert(
    fc.property(token, (bytes) => [0, INVALID_PARAMETER].includes(statusOf(() => exchange().step(bytes)))),
  );
});
