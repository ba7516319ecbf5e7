import { request as httpRequest } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { KEYS, startService } from './support/service.js';

/** One attempt or more at each of the OWASP API Security Top 10 (2023), as somebody outside would make it. */
const MESSAGE = { businessId: 1, content: 'See you at ten.' };
const RESTRICTED = { authorization: `Bearer ${KEYS.businessesOneAndTwo}` };

describe('API1 Broken Object Level Authorization', () => {
  it("somebody else's message and one that is not there are the same 404, and neither is written", async () => {
    const { replace, sandbox } = await startService();
    const foreign = sandbox.seed({ BusinessId: 3, Content: 'not yours' });
    const answers = [
      await replace(foreign.Id, MESSAGE, { ...RESTRICTED, 'x-request-id': 'r' }),
      await replace(foreign.Id + 1_000, MESSAGE, { ...RESTRICTED, 'x-request-id': 'r' }),
    ];
    const [one, other] = answers.map(({ json }) => ({ ...json, instance: '' }));
    expect(answers.map(({ status }) => status)).toEqual([404, 404]);
    expect(one).toEqual(other);
    expect(sandbox.writes).toEqual([]);
    expect(sandbox.messages.get(foreign.Id)?.Content).toBe('not yours');
  });

  it("a message cannot be moved into somebody else's business, nor taken out of it by naming ours", async () => {
    const { replace, sandbox } = await startService();
    const own = sandbox.seed({ BusinessId: 1, Content: 'ours' });
    expect((await replace(own.Id, { ...MESSAGE, businessId: 3 }, RESTRICTED)).status).toBe(403);
    expect(sandbox.writes).toEqual([]);
  });

  it("a caller's idempotency key never gives the answer of another caller", async () => {
    const { create } = await startService();
    const key = { 'idempotency-key': 'guessed' };
    const first = await create({ ...MESSAGE, content: 'private' }, key);
    const other = await create({ ...MESSAGE, content: 'private' }, { ...RESTRICTED, ...key });
    expect(first.status).toBe(201);
    expect(other.headers.has('idempotency-replayed')).toBe(false);
    expect(other.json['id']).not.toBe(first.json['id']);
  });
});

describe('API2 Broken Authentication', () => {
  it.each([
    ['no credential', undefined],
    ['an empty one', 'Bearer '],
    ['another scheme', 'Basic c2VydmljZTpwYXNzd29yZA=='],
    ['a key that there is not', 'Bearer guess'],
    ['a key that has expired', `Bearer ${KEYS.expired}`],
    ['a key with something behind it', `Bearer ${KEYS.everything}x`],
    ['two keys', `Bearer ${KEYS.expired} ${KEYS.everything}`],
    ['a name of Object.prototype', 'Bearer __proto__'],
  ])('%s is a 401 that looks like every other, and reaches nobody', async (_, authorization) => {
    const { call, sandbox } = await startService();
    const answer = await call('POST', '/v1/chat-messages', {
      headers: { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) },
      body: JSON.stringify(MESSAGE),
    });
    expect(answer.status).toBe(401);
    expect(answer.json['detail']).toBe('A valid credential is needed: "Authorization: Bearer ...".');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="nexudus-bff"/);
    expect(sandbox.writes).toEqual([]);
  });

  it('a key in the URL or in a cookie is no credential', async () => {
    const { call } = await startService();
    const headers = { 'content-type': 'application/json', cookie: `authorization=Bearer ${KEYS.everything}` };
    const path = `/v1/chat-messages?access_token=${KEYS.everything}`;
    expect((await call('POST', path, { headers, body: JSON.stringify(MESSAGE) })).status).toBe(401);
  });
});

describe('API3 Broken Object Property Level Authorization', () => {
  it.each(['CreatedBy', 'id', 'Id', 'UpdatedOn', 'SystemId', '__proto__', 'constructor', 'toString'])(
    'a property that is not for callers is refused by name: %s',
    async (name) => {
      const { create, sandbox } = await startService();
      const answer = await create(`{"businessId":1,"content":"x",${JSON.stringify(name)}:{"admin":true}}`);
      expect(answer.status).toBe(422);
      expect(answer.json['errors']).toEqual([{ pointer: `#/${name}`, detail: 'is not a known property' }]);
      expect(sandbox.writes).toEqual([]);
      expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
    },
  );

  it('an answer holds the seven fields of the API, whatever Nexudus says of the record', async () => {
    const { create } = await startService({ sandbox: { createValue: 'record' } });
    const { json } = await create(MESSAGE);
    expect(Object.keys(json).sort()).toEqual(
      ['action', 'businessId', 'content', 'id', 'sessionId', 'updatedAt', 'userId'].sort(),
    );
  });
});

describe('API4 Unrestricted Resource Consumption', () => {
  it('a body over the limit, and one said to be, are refused', async () => {
    const { create, sandbox } = await startService({ env: { BODY_LIMIT_BYTES: '2048' } });
    expect((await create({ ...MESSAGE, content: 'x'.repeat(4_000) })).status).toBe(413);
    expect(sandbox.writes).toEqual([]);
  });

  it('a limit may be as small as the messages are', async () => {
    const body = JSON.stringify(MESSAGE);
    const { create } = await startService({ env: { BODY_LIMIT_BYTES: `${body.length}` } });
    expect((await create(body)).status).toBe(201);
    expect((await create(`${body} `)).status).toBe(413);
  });

  it('a body that is deep or wide costs one refusal', async () => {
    const { create } = await startService();
    expect((await create('['.repeat(100_000))).status).toBe(400);
    expect(
      (await create(`{"businessId":1,"content":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)).status,
    ).toBe(422);
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`p${index}`, 1]));
    const answer = await create(wide);
    expect(answer.status).toBe(422);
    expect((answer.json['errors'] as unknown[]).length).toBeLessThanOrEqual(102);
  });

  it('a caller that floods is held to its own limit', async () => {
    const { create, sandbox } = await startService({ env: { CALLER_WAITING_LIMIT: '2' } });
    sandbox.always({ kind: 'hold' });
    const held = [create(MESSAGE), create(MESSAGE)];
    await sandbox.waitForCall(() => sandbox.writes.length === 2);
    expect((await create(MESSAGE)).status).toBe(429);
    sandbox.release();
    await Promise.all(held);
  });
});

describe('API5 Broken Function Level Authorization', () => {
  it.each(['/metrics', '/health/live', '/health/ready', '/info', '/ops/deliveries', '/sandbox/calls'])(
    'what is for operators is not on the API port: %s',
    async (path) => {
      const { call } = await startService();
      const answer = await call('GET', path, { headers: { authorization: `Bearer ${KEYS.everything}` } });
      expect(answer.status).toBe(404);
    },
  );

  it.each(['GET', 'DELETE', 'PATCH'])('a method that is not offered is refused: %s', async (method) => {
    const { call, sandbox } = await startService();
    for (const path of ['/v1/chat-messages', '/v1/chat-messages/1']) {
      const answer = await call(method, path, { headers: { authorization: `Bearer ${KEYS.everything}` } });
      expect(answer.status).toBe(405);
    }
    expect(sandbox.writes).toEqual([]);
  });

  it('a header that asks for another method is not heard', async () => {
    const { call, sandbox } = await startService();
    await call('POST', '/v1/chat-messages/1', {
      headers: { authorization: `Bearer ${KEYS.everything}`, 'x-http-method-override': 'PUT' },
    });
    expect(sandbox.writes).toEqual([]);
  });
});

describe('API6 Unrestricted Access to Sensitive Business Flows', () => {
  it('one caller cannot use up the writes of the day: some are kept for the others', async () => {
    const { create } = await startService({
      env: { NEXUDUS_WRITE_LIMITS: '10/1d', NEXUDUS_DAILY_RESERVE_PERCENT: '20' },
    });
    expect((await create(MESSAGE, RESTRICTED)).status).toBe(201);
    const flood = await Promise.all(Array.from({ length: 12 }, () => create(MESSAGE)));
    expect(flood.filter(({ status }) => status === 201).length).toBeLessThanOrEqual(8);
    expect((await create(MESSAGE, RESTRICTED)).status).toBe(201);
  });
});

describe('API7 Server Side Request Forgery', () => {
  // No caller can name a host: the only URL that is called is configured. What is left is to be led elsewhere.
  it('a redirect of the upstream is not followed', async () => {
    const { create, sandbox } = await startService();
    sandbox.next({ kind: 'redirect', location: `${sandbox.url}/api/auth/me` });
    expect((await create(MESSAGE)).json).toMatchObject({ status: 502, outcome: 'unknown' });
    expect(sandbox.calls.filter(({ path }) => path === '/api/auth/me')).toEqual([]);
  });

  it('an absolute URL as the request target reaches our own routes, and nothing else', async () => {
    const { url, sandbox } = await startService();
    const status = await new Promise((resolve, reject) => {
      httpRequest(url, { path: `${sandbox.url}/api/auth/me` }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(404);
    expect(sandbox.calls.filter(({ path }) => path === '/api/auth/me')).toEqual([]);
  });
});

describe('API8 Security Misconfiguration', () => {
  it('no answer names what serves it, nor shows its inside', async () => {
    const { call, create } = await startService();
    const answers = [await call('GET', '/nowhere'), await create('{'), await create({ businessId: 'x' })];
    for (const answer of answers) {
      expect([answer.headers.get('server'), answer.headers.get('x-powered-by')]).toEqual([null, null]);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.text).not.toMatch(/fastify|nest|node_modules|\.ts|\.js|at \w+ \(/i);
    }
  });
});

describe('API9 Improper Inventory Management', () => {
  it.each([
    '/',
    '/v1',
    '/v2/chat-messages',
    '/api/sys/openaichatmessages',
    '/openapi.yaml',
    '/docs/../package.json',
    '/docs/swagger-initializer.js',
    '/docs/%2e%2e/%2e%2e/package.json',
    '/package.json',
    '/.env',
  ])('what the description does not name is not there: %s', async (path) => {
    const { url } = await startService();
    const status = await new Promise((resolve, reject) => {
      httpRequest(url, { path }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(404);
  });
});

describe('API10 Unsafe Consumption of APIs', () => {
  it.each([
    ['markup', { kind: 'html', status: 502 }],
    ['bytes that are no HTTP', { kind: 'garbage' }],
    ['more than anybody reads', { kind: 'too-large', bytes: 2_000_000 }],
    [
      'a foreign shape',
      { kind: 'json', status: 200, body: { Value: { Id: { $gt: 0 } }, WasSuccessful: 'yes' } },
    ],
  ] as const)('an answer of Nexudus that is %s is trusted in nothing', async (_, scenario) => {
    const { create, sandbox } = await startService();
    sandbox.next(scenario);
    const answer = await create(MESSAGE);
    expect(answer.json).toMatchObject({ status: 502, outcome: 'unknown' });
    expect(answer.text).not.toMatch(/<html|\$gt/);
  });

  it('a sentence of Nexudus with markup or an address in it is not passed on', async () => {
    const { create, sandbox } = await startService();
    const Message = '<script src="https://evil.example/x.js"></script>';
    sandbox.next({ kind: 'reject', errors: [{ PropertyName: 'Content', Message, AttemptedValue: 'x' }] });
    expect((await create(MESSAGE)).json['errors']).toEqual([{ pointer: '#/content', detail: 'was refused' }]);
  });
});
