import { describe, expect, it } from '@jest/globals';
import { KEYS, startService, type Answer, type TestService } from './support/service.js';

const APP = 'https://app.example.com';
const MESSAGE = JSON.stringify({ businessId: 1, content: 'x' });

/** Asks as a browser does before a page of the origin may send a write. */
const preflight = (
  { call }: TestService,
  origin: string,
  method = 'POST',
  path = '/v1/chat-messages',
): Promise<Answer> =>
  call('OPTIONS', path, {
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
  });

const names = (answer: Answer, header: string): string[] =>
  (answer.headers.get(header) ?? '').toLowerCase().split(/\s*,\s*/);

describe('a web page of an origin that may call', () => {
  const env = { CORS_ORIGINS: `${APP}, http://localhost:5173` };

  it('passes the preflight without a key, for what the API takes', async () => {
    const service = await startService({ env });
    for (const origin of [APP, 'http://localhost:5173']) {
      const answer = await preflight(service, origin);
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(names(answer, 'access-control-allow-methods')).toEqual(['get', 'post', 'put', 'delete']);
      expect(names(answer, 'access-control-allow-headers').sort()).toEqual([
        'authorization',
        'content-type',
        'idempotency-key',
        'prefer',
        'traceparent',
        'tracestate',
        'x-request-id',
      ]);
      expect(answer.headers.has('access-control-allow-credentials')).toBe(false);
      expect(names(answer, 'vary')).toContain('origin');
      expect(answer.headers.get('x-request-id')).toMatch(/./);
    }
    expect(service.sandbox.writes).toEqual([]);
  });

  it.each([
    ['GET', '/v1/deliveries?state=accepted'],
    ['GET', '/v1/deliveries/5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11'],
    ['GET', '/v1/deliveries/5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11/events'],
    ['DELETE', '/v1/deliveries/5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11'],
    ['PUT', '/v1/chat-messages/1'],
  ])('may ask to %s %s', async (method, path) => {
    const answer = await preflight(await startService({ env }), APP, method, path);
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, APP]);
    expect(names(answer, 'access-control-allow-methods')).toContain(method.toLowerCase());
    expect(names(answer, 'access-control-allow-headers')).toContain('authorization');
  });

  it.each([
    ['a success', 201, { authorization: `Bearer ${KEYS.everything}` }, '/v1/chat-messages', MESSAGE],
    ['a 401', 401, {}, '/v1/chat-messages', MESSAGE],
    ['a 422', 422, { authorization: `Bearer ${KEYS.everything}` }, '/v1/chat-messages', '{}'],
    ['a 404', 404, {}, '/elsewhere', MESSAGE],
  ])('may read %s, and the headers that the API speaks with', async (_, status, headers, path, body) => {
    const { call } = await startService({ env });
    const answer = await call('POST', path, {
      headers: { origin: APP, 'content-type': 'application/json', ...headers },
      body,
    });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('access-control-allow-origin')).toBe(APP);
    expect(names(answer, 'access-control-expose-headers')).toEqual(
      expect.arrayContaining([
        'x-request-id',
        'idempotency-replayed',
        'preference-applied',
        'retry-after',
        'ratelimit',
        'ratelimit-policy',
        'location',
      ]),
    );
  });

  it('gets a 405 with Allow for a method that there is not', async () => {
    const { call } = await startService({ env });
    const answer = await call('DELETE', '/v1/chat-messages', { headers: { origin: APP } });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('a web page of any other origin', () => {
  it.each([
    'https://app.example.com.evil.example',
    'https://evil.example',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://APP.example.com',
    'null',
  ])('is not let in: %s', async (origin) => {
    const service = await startService({ env: { CORS_ORIGINS: APP } });
    const answer = await preflight(service, origin);
    expect(answer.headers.has('access-control-allow-origin')).toBe(false);
  });

  it('is not let in at all where no origin is configured', async () => {
    const service = await startService();
    const answer = await preflight(service, APP);
    expect(answer.status).toBe(405);
    expect(answer.json).toMatchObject({ type: '/problems/method-not-allowed' });
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('every answer', () => {
  it.each(['/problems', '/nowhere', '/v1/chat-messages'])(
    'of %s tells browsers to make nothing of it',
    async (path) => {
      const { call } = await startService();
      const { headers } = await call('GET', path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('strict-transport-security')).toMatch(/^max-age=\d{7,}/);
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect([headers.get('server'), headers.get('x-powered-by')]).toEqual([null, null]);
    },
  );
});

describe('a caller that floods', () => {
  it('is refused beyond its limit, at once and alone; what it has under way goes on', async () => {
    const { create, sandbox } = await startService({ env: { CALLER_WAITING_LIMIT: '3' } });
    const message = JSON.parse(MESSAGE) as object;
    sandbox.next({ kind: 'hold' }, { times: 3 });
    const first = [1, 2, 3].map(() => create(message));
    for (let count = 1; count <= 3; count += 1) {
      await sandbox.waitForCall(() => sandbox.writes.length >= count);
    }
    const refused = await create(message);
    expect(refused.status).toBe(429);
    expect(refused.json).toMatchObject({
      type: '/problems/quota-exhausted',
      outcome: 'not-sent',
      retryable: true,
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    const other = await create(message, { authorization: `Bearer ${KEYS.businessesOneAndTwo}` });
    expect(other.status).toBe(201);
    sandbox.release();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([201, 201, 201]);
    expect((await create(message)).status).toBe(201);
  });
});
