import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { EncryptJWT, exportSPKI, importJWK, type JWK, SignJWT, UnsecuredJWT } from 'jose';
import { AUDIENCE, OUT_OF_ORDER, TestIssuer } from './support/issuer.js';
import { type Answer, KEYS, startService, type TestService } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'x' };
const CHALLENGE = 'Bearer realm="nexudus-bff"';
const INVALID = `${CHALLENGE}, error="invalid_token"`;

let issuer: TestIssuer;
beforeEach(async () => {
  issuer = await TestIssuer.start();
});
afterEach(() => issuer.close());

const start = (env: Record<string, string> = issuer.env): Promise<TestService> => startService({ env });

const createWith = (service: TestService, token: string, message: object = MESSAGE): Promise<Answer> =>
  service.create(message, { authorization: `Bearer ${token}` });

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

const logged = ({ log }: TestService, text: string): boolean => log.some(({ message }) => message === text);

describe('a good token', () => {
  it('creates and replaces messages, and its keys are fetched once for all', async () => {
    const service = await start();
    const token = await issuer.token();
    const answers = await Promise.all(Array.from({ length: 30 }, () => createWith(service, token)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    const id = answers[0]?.json['id'] as number;
    expect((await service.replace(id, MESSAGE, { authorization: `Bearer ${token}` })).status).toBe(200);
    expect((await createWith(service, await issuer.token({ client_id: 'another' }))).status).toBe(201);
    expect(issuer.calls).toEqual(['/tenant/.well-known/openid-configuration', '/keys']);
    expect(service.log.filter(({ message }) => message === 'request').at(-1)).toMatchObject({
      caller: 'jwt:another',
    });
    expect(JSON.stringify(service.log)).not.toContain(token.slice(-20));
  });

  it.each(['RS256', 'RS384', 'PS256', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])(
    'may be signed with %s',
    async (alg) => {
      await issuer.rotate(alg);
      const service = await start();
      expect((await createWith(service, await issuer.token())).status).toBe(201);
    },
  );

  it.each<[string, () => Parameters<TestIssuer['token']>]>([
    ['for several audiences', () => [{ aud: ['other', AUDIENCE] }]],
    ['of any type', () => [{}, { typ: 'at+jwt' }]],
    ['that has just expired, by a clock that goes before', () => [{ exp: nowSeconds() - 20 }]],
    ['that is about to begin, by a clock that goes after', () => [{ nbf: nowSeconds() + 20 }]],
    ['without the name of its key, where there is but one', () => [{}, { kid: undefined }]],
  ])('may be one %s', async (_, given) => {
    const service = await start();
    expect((await createWith(service, await issuer.token(...given()))).status).toBe(201);
  });
});

describe('a token is refused', () => {
  const symmetric = async (): Promise<string> =>
    new SignJWT({ iss: issuer.url, aud: AUDIENCE, exp: nowSeconds() + 300, client_id: 'x' })
      .setProtectedHeader({ alg: 'HS256', kid: 'key-1' })
      .sign(new TextEncoder().encode(await exportSPKI(issuer.key().publicKey)));
  const encrypted = async (): Promise<string> =>
    new EncryptJWT({ iss: issuer.url, aud: AUDIENCE, exp: nowSeconds() + 300, client_id: 'x' })
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
      .encrypt(await importJWK(issuer.key().jwk, 'ECDH-ES'));
  const unsecured = (): string =>
    new UnsecuredJWT({ iss: issuer.url, aud: AUDIENCE, exp: nowSeconds() + 300 }).encode();
  /** Puts something else in the place of one of the three parts. */
  const tampered = async (part: 0 | 1 | 2, change: (text: string) => string): Promise<string> => {
    const parts = (await issuer.token({ businesses: [1] })).split('.');
    parts[part] = change(parts[part] ?? '');
    return parts.join('.');
  };
  const recoded = (change: (json: Record<string, unknown>) => unknown) => (text: string) =>
    Buffer.from(
      JSON.stringify(
        change(JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>),
      ),
    ).toString('base64url');

  it.each<[string, () => string | Promise<string>]>([
    ['alg none', unsecured],
    [
      'alg none with a signature',
      () =>
        tampered(
          0,
          recoded((header) => ({ ...header, alg: 'none' })),
        ),
    ],
    ['HS256 with the public key for a secret', symmetric],
    [
      'another algorithm in its header',
      () =>
        tampered(
          0,
          recoded((header) => ({ ...header, alg: 'ES384' })),
        ),
    ],
    [
      'more rights in its payload',
      () =>
        tampered(
          1,
          recoded((claims) => ({ ...claims, businesses: '*' })),
        ),
    ],
    ['another signature', () => tampered(2, (text) => text.slice(43) + text.slice(0, 43))],
    ['no JSON for a header', () => tampered(0, () => 'AAAA')],
    [
      'a list for a payload',
      () =>
        tampered(
          1,
          recoded(() => []),
        ),
    ],
    ['a critical header that nobody knows', () => issuer.token({}, { crit: ['urgent'], urgent: true })],
    ['a key in its own header', () => issuer.token({}, { kid: 'mine', jwk: issuer.key().jwk })],
    ['a key that nobody knows', () => issuer.token({}, { kid: 'nobody' })],
    ['an encrypted content', encrypted],
    ['9000 characters', () => issuer.token({ padding: 'x'.repeat(6_000) })],
    ['nothing in it', () => '..'],
    ['one dot', () => 'a.b'],
  ])('with %s', async (_, make) => {
    const service = await start();
    const answer = await createWith(service, await make());
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(INVALID);
    expect(answer.json).toMatchObject({
      type: '/problems/unauthenticated',
      detail: 'A valid credential is needed: "Authorization: Bearer ...".',
      outcome: 'not-sent',
    });
    expect(service.sandbox.writes).toEqual([]);
  });

  it.each<[string, string, () => Record<string, unknown>]>([
    ['has expired', 'exp', () => ({ exp: nowSeconds() - 31 })],
    ['never expires', 'exp', () => ({ exp: undefined })],
    ['is not good yet', 'nbf', () => ({ nbf: nowSeconds() + 40 })],
    ['is of another issuer', 'iss', () => ({ iss: 'https://id.example.com' })],
    ['is of almost the same issuer', 'iss', () => ({ iss: `${issuer.url}/` })],
    ['is of no issuer', 'iss', () => ({ iss: undefined })],
    ['is for another audience', 'aud', () => ({ aud: 'nexudus' })],
    ['is for no audience', 'aud', () => ({ aud: undefined })],
    ['names nobody', 'sub', () => ({ client_id: undefined })],
    ['names somebody who cannot be named in a log', 'client_id', () => ({ client_id: 'x\n{"level":60}' })],
  ])('that %s, and its caller is told that it is for "%s"', async (_, claim, claims) => {
    const service = await start();
    const answer = await createWith(service, await issuer.token(claims()));
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(INVALID);
    expect(answer.json).toMatchObject({
      type: '/problems/unauthenticated',
      detail: `The token is refused for its claim "${claim}".`,
    });
    expect(service.sandbox.writes).toEqual([]);
  });

  it('that is missing, without an error code', async () => {
    const { call } = await start();
    const answer = await call('POST', '/v1/chat-messages', { body: '{}' });
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, CHALLENGE]);
  });
});

describe('what a token is good for', () => {
  it('does not include writing without the scope, which is said before the body is read', async () => {
    const { call, sandbox } = await start();
    const token = await issuer.token({ scope: 'openid', businesses: [1] });
    const answer = await call('POST', '/v1/chat-messages', {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: 'not JSON at all',
    });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toBe(
      `${CHALLENGE}, error="insufficient_scope", scope="chat-messages:write"`,
    );
    expect(answer.json).toMatchObject({ type: '/problems/forbidden', outcome: 'not-sent', retryable: false });
    expect(sandbox.writes).toEqual([]);
  });

  it('is writing for its businesses', async () => {
    const service = await start();
    const token = await issuer.token({ businesses: [2, 3] });
    const answers: number[] = [];
    for (const businessId of [1, 2, 3, 4]) {
      answers.push((await createWith(service, token, { ...MESSAGE, businessId })).status);
    }
    expect(answers).toEqual([403, 201, 201, 403]);
    expect(service.sandbox.writes).toHaveLength(2);
  });

  it.each([[undefined], ['1'], ['all'], [['1']], [{ 1: true }]])(
    'is no business at all with %j for them',
    async (businesses) => {
      const service = await start();
      const answer = await createWith(service, await issuer.token({ businesses }));
      expect(answer.json).toMatchObject({ type: '/problems/forbidden', outcome: 'not-sent' });
      expect(service.sandbox.writes).toEqual([]);
    },
  );
});

describe('the keys of the issuer', () => {
  it('are changed without a restart, and a token of the old ones is refused from then on', async () => {
    const service = await start();
    const old = await issuer.token();
    expect((await createWith(service, old)).status).toBe(201);
    await issuer.rotate('RS256');
    expect((await createWith(service, await issuer.token())).status).toBe(201);
    expect((await createWith(service, old)).status).toBe(401);
  });

  it('are asked for once by thirty tokens with keys that nobody knows', async () => {
    const service = await start();
    expect((await createWith(service, await issuer.token())).status).toBe(201);
    const tokens = await Promise.all(
      Array.from({ length: 30 }, (_, index) => issuer.token({}, { kid: `stranger-${index}` })),
    );
    const answers = await Promise.all(tokens.map((token) => createWith(service, token)));
    for (const token of tokens) answers.push(await createWith(service, token));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(issuer.keyFetches).toBe(2);
    expect((await createWith(service, await issuer.token())).status).toBe(201);
  });

  it.each<[string, (wanted: TestIssuer) => void]>([
    ['is down', (wanted) => (wanted.answer = OUT_OF_ORDER.down)],
    ['fails', (wanted) => (wanted.answer = OUT_OF_ORDER.failing)],
    ['answers nonsense', (wanted) => (wanted.answer = OUT_OF_ORDER.nonsense)],
    ['never answers', (wanted) => (wanted.answer = OUT_OF_ORDER.hanging)],
    ['is another than ours', (wanted) => (wanted.discovery = { issuer: 'https://id.example.com' })],
  ])('cannot be had where the issuer %s: a 503 with few calls of it, until it is well', async (_, fall) => {
    fall(issuer);
    const startedAtMs = Date.now();
    const service = await start();
    const tokens = await Promise.all(Array.from({ length: 30 }, () => issuer.token()));
    const answers = await Promise.all(tokens.map((token) => createWith(service, token)));
    for (const { status, headers, json } of answers) {
      expect([status, headers.get('www-authenticate')]).toEqual([503, null]);
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(2 ** (issuer.calls.length - 1));
      expect(json).toMatchObject({
        type: '/problems/upstream-unavailable',
        detail: "The keys of the token's issuer cannot be fetched at present. The message was not sent.",
        outcome: 'not-sent',
        retryable: true,
      });
    }
    // The service asks by itself, after 1, 3, 7 … seconds, and never for a caller.
    const passedS = (Date.now() - startedAtMs) / 1000;
    expect(issuer.calls.length).toBeLessThanOrEqual(1 + Math.floor(Math.log2(1 + passedS)));
    expect(service.sandbox.writes).toEqual([]);
    expect(JSON.stringify(service.log)).not.toContain('canary');

    issuer.answer = undefined;
    issuer.discovery = {};
    await until(() => logged(service, 'The keys of the issuer were fetched'));
    expect((await createWith(service, await issuer.token())).status).toBe(201);
  });

  it('hold up no stop: whoever waits for them hears of it at once', async () => {
    const service = await start();
    expect((await createWith(service, await issuer.token())).status).toBe(201);
    issuer.answer = OUT_OF_ORDER.hanging;
    const asked = issuer.calls.length;
    const waiting = createWith(service, await issuer.token({}, { kid: 'new' }));
    await until(() => issuer.calls.length > asked);
    const stopped = service.app.stop();
    expect((await waiting).json).toMatchObject({ type: '/problems/shutting-down', outcome: 'not-sent' });
    await stopped;
  });

  it('serve on while the issuer is down, also for tokens that were never seen', async () => {
    const service = await start();
    expect((await createWith(service, await issuer.token())).status).toBe(201);
    issuer.answer = OUT_OF_ORDER.down;
    expect((await createWith(service, await issuer.token({ client_id: 'new' }))).status).toBe(201);
  });

  it.each<[string, (privateJwk: JWK) => JWK]>([
    ['no point on its curve', () => ({ x: 'AAAA' })],
    ['private', ({ d = '' }) => ({ d })],
  ])('of which one is %s are the fault of the issuer and not of a token', async (_, published) => {
    const bad = await issuer.addKey('ES256', published);
    const service = await start();
    const answer = await createWith(service, await issuer.token({}, {}, bad));
    expect(answer.json).toMatchObject({ type: '/problems/upstream-unavailable', outcome: 'not-sent' });
    expect((await createWith(service, await issuer.token({}, {}, 'key-1'))).status).toBe(201);
  });

  it('are fetched from AUTH_JWKS_URI where that is set, query and all', async () => {
    const service = await start({
      ...issuer.env,
      AUTH_JWKS_URI: new URL('/keys?policy=b2c', issuer.url).href,
    });
    expect((await createWith(service, await issuer.token())).status).toBe(201);
    expect(issuer.calls).toEqual(['/keys?policy=b2c']);
  });
});

describe('beside API keys', () => {
  it('a JWT is as good as a key, and two callers of one id are two', async () => {
    const service = await start(issuer.envBesideApiKeys);
    expect((await createWith(service, KEYS.everything)).status).toBe(201);
    expect((await createWith(service, await issuer.token({ client_id: 'everything' }))).status).toBe(201);
    const callers = service.log.filter(({ message }) => message === 'request').map(({ caller }) => caller);
    expect(callers).toEqual(['api-key:everything', 'jwt:everything']);
  });

  it('a key works while the issuer is down, and what is neither is refused, as nobody asks the issuer for it', async () => {
    issuer.answer = OUT_OF_ORDER.down;
    const service = await start(issuer.envBesideApiKeys);
    expect((await createWith(service, KEYS.everything)).status).toBe(201);
    const symmetric = `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.e30.AAAA`;
    for (const stranger of ['nbff_unknown', KEYS.expired, 'a.b.c', symmetric]) {
      const { status, headers } = await createWith(service, stranger);
      expect([status, headers.get('www-authenticate')]).toEqual([401, INVALID]);
    }
  });

  it('neither is good where it is not in AUTH_MODES', async () => {
    const jwtOnly = await start();
    expect((await createWith(jwtOnly, KEYS.everything)).status).toBe(401);
    const keysOnly = await start({ ...issuer.env, AUTH_MODES: 'api-key' });
    expect((await createWith(keysOnly, await issuer.token())).status).toBe(401);
  });
});
