import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { PROBLEM_TYPES } from '../src/problem-details/problem.catalogue.js';
import { KEYS, rawCreate, startService } from './support/service.js';
import { until } from './support/until.js';

const AUTHORIZED = { authorization: `Bearer ${KEYS.everything}` };
const JSON_BODY = { ...AUTHORIZED, 'content-type': 'application/json' };

describe('every problem', () => {
  it.each([
    ['GET', '/nope', {}, undefined, 404, 'not-found'],
    ['GET', '/v1', {}, undefined, 404, 'not-found'],
    ['GET', '/problems/nope', {}, undefined, 404, 'not-found'],
    ['GET', '/%zz', {}, undefined, 400, 'malformed-request'],
    ['GET', '/v1/chat-messages', {}, undefined, 405, 'method-not-allowed'],
    ['DELETE', '/v1/chat-messages/1', {}, undefined, 405, 'method-not-allowed'],
    ['POST', '/v1/chat-messages', {}, '{}', 401, 'unauthenticated'],
    ['POST', '/v1/chat-messages', { authorization: 'Bearer wrong' }, '{}', 401, 'unauthenticated'],
    ['POST', '/v1/chat-messages', { authorization: 'Basic eDp5' }, '{}', 401, 'unauthenticated'],
    ['POST', '/v1/chat-messages', { authorization: `Bearer ${KEYS.expired}` }, '{}', 401, 'unauthenticated'],
    ['POST', '/v1/chat-messages', JSON_BODY, '{', 400, 'malformed-request'],
    ['POST', '/v1/chat-messages', JSON_BODY, '', 400, 'malformed-request'],
    ['POST', '/v1/chat-messages', AUTHORIZED, undefined, 400, 'malformed-request'],
    ['POST', '/v1/chat-messages', AUTHORIZED, '{}', 415, 'unsupported-media-type'],
    [
      'POST',
      '/v1/chat-messages',
      { ...AUTHORIZED, 'content-type': 'application/xml' },
      '<a/>',
      415,
      'unsupported-media-type',
    ],
    [
      'POST',
      '/v1/chat-messages',
      { ...AUTHORIZED, 'content-type': 'application/json; charset=latin1' },
      '{}',
      415,
      'unsupported-media-type',
    ],
    [
      'POST',
      '/v1/chat-messages',
      { ...JSON_BODY, 'content-encoding': 'gzip' },
      '{}',
      415,
      'unsupported-media-type',
    ],
    ['POST', '/v1/chat-messages', JSON_BODY, `"${'x'.repeat(262_145)}"`, 413, 'payload-too-large'],
    ['POST', '/v1/chat-messages', JSON_BODY, '{}', 422, 'validation-failed'],
  ] as const)('has the one shape: %s %s %j', async (method, path, headers, body, status, slug) => {
    const { call, sandbox, log } = await startService();
    const answer = await call(method, path, { headers: { ...headers }, ...(body !== undefined && { body }) });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('server')).toBeNull();
    expect(answer.headers.get('x-powered-by')).toBeNull();
    expect(answer.json).toMatchObject({
      type: `/problems/${slug}`,
      title: PROBLEM_TYPES[slug].title,
      status,
      detail: expect.any(String),
      instance: path,
      requestId: answer.headers.get('x-request-id'),
      outcome: 'not-sent',
      retryable: false,
    });
    expect(sandbox.writes).toHaveLength(0);
    expect(log.filter((line) => (line['level'] as number) >= 50)).toEqual([]);
  });

  it('of bad UTF-8 is a malformed request', async () => {
    const { url } = await startService();
    const body = Buffer.concat([
      Buffer.from('{"businessId":1,"content":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    const answer = await fetch(`${url}/v1/chat-messages`, { method: 'POST', headers: JSON_BODY, body });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ type: '/problems/malformed-request' });
  });

  it('names itself under the configured base', async () => {
    const { call } = await startService({ env: { PROBLEM_TYPE_BASE_URL: 'https://docs.example.com/p/' } });
    expect((await call('GET', '/nope')).json['type']).toBe('https://docs.example.com/p/not-found');
  });

  it('never repeats the query', async () => {
    const { call } = await startService();
    expect((await call('GET', '/nope?token=secret')).text).not.toContain('secret');
  });
});

describe('authentication', () => {
  it('comes before the body is read: a stranger learns nothing about media types or sizes', async () => {
    const { call } = await startService();
    const answer = await call('POST', '/v1/chat-messages', {
      headers: { 'content-type': 'text/plain' },
      body: 'x',
    });
    expect(answer.status).toBe(401);
  });

  it('comes before the path is looked at: a stranger does not learn what ids look like', async () => {
    const { call } = await startService();
    for (const id of ['x', '1'.repeat(8_000)]) {
      expect((await call('PUT', `/v1/chat-messages/${id}`)).status).toBe(401);
    }
  });

  it.each([
    ['without an error code where no credential came', undefined, ''],
    ['without an error code where an empty one came', '', ''],
    ['without an error code where one of another scheme came', 'Basic YTpi', ''],
    ['without an error code where no token came with the scheme', 'Bearer', ''],
    ['with invalid_token where a wrong token came', 'Bearer wrong', ', error="invalid_token"'],
    ['with invalid_token where what came is no token', 'bearer two words', ', error="invalid_token"'],
  ])('challenges by RFC 6750 section 3.1: %s', async (_, authorization, error) => {
    const { call } = await startService();
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await call('POST', '/v1/chat-messages', { headers });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(`Bearer realm="nexudus-bff"${error}`);
  });
});

describe('the request id', () => {
  it("is the caller's where it is well-formed", async () => {
    const { create, log } = await startService();
    const answer = await create({ businessId: 1, content: 'x' }, { 'x-request-id': 'from-caller_1.2' });
    expect(answer.headers.get('x-request-id')).toBe('from-caller_1.2');
    expect(log.filter((line) => line['requestId'] === 'from-caller_1.2')).not.toHaveLength(0);
  });

  it.each(['', ' ', 'a b', 'x'.repeat(129), '"; drop'])(
    "is a new one where the caller's is %j",
    async (given) => {
      const { call } = await startService();
      const answer = await call('GET', '/problems', { headers: { 'x-request-id': given } });
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    },
  );
});

describe('405', () => {
  it('lists the methods that are served', async () => {
    const { call } = await startService();
    expect((await call('GET', '/v1/chat-messages/1')).headers.get('allow')).toBe('PUT');
    expect((await call('PATCH', '/v1/chat-messages')).headers.get('allow')).toBe('POST');
    expect((await call('POST', '/problems')).headers.get('allow')).toBe('GET, HEAD');
  });
});

describe('broken HTTP', () => {
  it.each([
    ['a request line that is none', 'HELLO\r\n\r\n'],
    ['headers that are too large', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx'],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('is answered with a problem: %s', async (_, bytes) => {
    const { app } = await startService();
    const answer = await exchange(app.apiPort, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json\r\n');
    const body = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as Record<string, unknown>;
    expect(body).toMatchObject({ type: '/problems/malformed-request', status: 400, outcome: 'not-sent' });
    expect(answer).toContain(`x-request-id: ${String(body['requestId'])}`);
  });

  it.each([
    [
      'an expectation that nobody knows',
      'POST /problems?a=b HTTP/1.1\r\nhost: x\r\nx-request-id: r\r\nexpect: wonders\r\ncontent-length: 0\r\n\r\n',
      '/problems',
    ],
    ['no Host', 'GET /problems HTTP/1.1\r\nx-request-id: r\r\n\r\n', '/problems'],
    [
      'a tunnel',
      'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\nx-request-id: r\r\n\r\n',
      'example.com:443',
    ],
  ])('that Node would answer by itself is answered with a problem, too: %s', async (_, bytes, instance) => {
    const { app } = await startService();
    const answer = await exchange(app.apiPort, bytes);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json\r\n');
    expect(answer.toLowerCase()).toContain('x-content-type-options: nosniff\r\n');
    expect(answer).toContain('\r\nx-request-id: r\r\n');
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ instance });
  });

  it.each(['GET *problems', 'POST *v1/chat-messages', 'OPTIONS *'])(
    'that asks for no path is answered with a 404, and nothing ends: %s',
    async (line) => {
      const { app, log } = await startService({ env: { CORS_ORIGINS: 'https://app.example.com' } });
      const answer = await exchange(app.apiPort, `${line} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 404 /);
      expect(answer).toContain('"type":"/problems/not-found"');
      expect(answer).toContain('\r\nx-request-id: ');
      await until(() => log.some(({ message }) => message === 'request'));
    },
  );

  it.each([
    ['bytes', '}'],
    ['an expectation', 'GET /problems HTTP/1.1\r\nhost: x\r\nexpect: wonders\r\n\r\n'],
  ])(
    "behind a message that is under way does not answer for it, since the client would take it for that one's: %s",
    async (_, bytes) => {
      const { app, sandbox } = await startService();
      sandbox.next({ kind: 'slow', ms: 100 });
      const body = JSON.stringify({ businessId: 1, content: 'x' });
      const answer = await exchange(app.apiPort, rawCreate(body) + bytes, false);
      expect(answer).toMatch(/^HTTP\/1\.1 201 /);
      expect(answer).not.toContain('malformed-request');
      expect(sandbox.messages.size).toBe(1);
    },
  );

  it.each([
    ['the good one first', KEYS.everything, 'wrong'],
    ['the good one last', 'wrong', KEYS.everything],
    ['the same', KEYS.everything, KEYS.everything],
  ])('that says twice who calls is answered with a problem, and nothing is sent: %s', async (_, ...keys) => {
    const { app, sandbox } = await startService();
    const credentials = keys.map(
      (key, n) => `${n === 0 ? 'authorization' : 'Authorization'}: Bearer ${key}\r\n`,
    );
    const request = rawCreate(JSON.stringify({ businessId: 1, content: 'x' }));
    const answer = await exchange(
      app.apiPort,
      request.replace(/authorization: .*\r\n/, credentials.join('')),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"type":"/problems/malformed-request"');
    expect(sandbox.writes).toEqual([]);
  });

  it('behind a message that is under way and another that breaks off in its body does not answer for the first', async () => {
    const { app, sandbox, call } = await startService();
    sandbox.next({ kind: 'hold' });
    const socket = connect(app.apiPort, '127.0.0.1');
    const half = rawCreate('', 0).replace('content-length: 0', 'transfer-encoding: chunked');
    socket.write(rawCreate(JSON.stringify({ businessId: 1, content: 'x' })) + half);
    await sandbox.waitForCall(() => sandbox.writes.length === 1);
    socket.write('no length of a chunk\r\n');
    // What came after it is answered, so it has been read.
    for (let n = 0; n < 3; n += 1) await call('GET', '/problems');
    sandbox.release();
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(answer).not.toContain('malformed-request');
  });

  it('of a client who hangs up in the middle of its body is not a fault of ours', async () => {
    const { app, log } = await startService();
    const socket = connect(app.apiPort, '127.0.0.1');
    socket.write(rawCreate('{', 100), () => {
      socket.destroySoon();
    });
    await until(() => log.some(({ message }) => message === 'request'));
    expect(log.find(({ message }) => message === 'request')).toMatchObject({
      problem: 'malformed-request',
      outcome: 'not-sent',
    });
    expect(log.filter(({ level }) => (level as number) >= 50)).toEqual([]);
  });

  async function exchange(port: number, bytes: string, hangUp = true): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    if (hangUp) socket.end(bytes);
    else socket.write(bytes);
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    return answer;
  }
});

describe('the pages about problems', () => {
  it('list all of them without a key', async () => {
    const { call } = await startService();
    const answer = await call('GET', '/problems');
    expect(answer.status).toBe(200);
    const list = answer.json as unknown as { slug: string; type: string; title: string; status: number }[];
    expect(list.map(({ slug, status }) => [slug, status])).toEqual(
      Object.entries(PROBLEM_TYPES).map(([slug, { status }]) => [slug, status]),
    );
    expect(list[0]).toEqual({
      slug: 'malformed-request',
      type: '/problems/malformed-request',
      title: 'Malformed request',
      status: 400,
    });
  });

  it.each([
    ['delivery-not-found', 404],
    ['delivery-not-cancellable', 409],
  ])('say of %s that the request sent nothing, whatever became of the delivery', async (slug, status) => {
    const { call } = await startService();
    const { json } = await call('GET', `/problems/${slug}`);
    expect(json).toMatchObject({ status, outcome: 'not-sent', retryable: false });
    expect(json['explanation']).toMatch(/this request.* sent nothing/i);
  });

  it.each(Object.keys(PROBLEM_TYPES))('explain %s to a program and to a person', async (slug) => {
    const { call } = await startService();
    const json = await call('GET', `/problems/${slug}`);
    expect(json.json).toMatchObject({ slug, type: `/problems/${slug}` });
    const page = await call('GET', `/problems/${slug}`, { headers: { accept: 'text/html,*/*;q=0.8' } });
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.text).toContain(`<code>${slug}</code>`);
    expect(page.text).toContain(String(json.json['explanation']).split('"')[0]);
  });
});
