import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openApiDocument } from '../src/openapi/document.js';
import { PROBLEM_TYPES } from '../src/problem-details/problem.catalogue.js';
import { checkBy, contradictions, DOCUMENT } from './support/documented.js';
import { KEYS, startService } from './support/service.js';

// That every answer of every other test is as the document says is checked where they are all received: in
// test/support/service.ts.

const DELIVERY = {
  id: '5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11',
  operation: 'create',
  state: 'accepted',
  outcome: null,
  attempts: 0,
  position: 1,
  estimatedAt: '2026-11-22T00:19:37.123Z',
  expiresAt: '2026-11-23T00:19:25Z',
  acceptedAt: '2026-11-22T00:19:25Z',
};

describe('openapi.json', () => {
  it('is what the code says now: else `npm run openapi` writes it anew', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(DOCUMENT).toEqual(JSON.parse(JSON.stringify(openApiDocument(version))));
  });

  it('describes every controller: a handler without a description does not even compile', () => {
    const described = ['operations', 'deliveries']
      .map((name) => readFileSync(`src/openapi/${name}.ts`, 'utf8'))
      .join('\n');
    const controllers = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap(
        (path) =>
          /@Controller\([^]*export class (\w+)/.exec(readFileSync(join('src', path), 'utf8'))?.[1] ?? [],
      );
    expect(controllers.filter((name) => !described.includes(`describe(${name},`))).toEqual([]);
    expect(controllers).toHaveLength(4);
  });

  it('has the operations that are served under its paths, and no other', async () => {
    const { call } = await startService();
    for (const [path, operations] of Object.entries(DOCUMENT.paths)) {
      if (path.startsWith('/v1/deliveries')) continue;
      const refused = await call('PATCH', path.replace('{id}', '1'));
      expect([path, refused.headers.get('allow')?.replace(', HEAD', '')]).toEqual([
        path,
        Object.keys(operations).join().toUpperCase(),
      ]);
    }
  });

  it('has the operations on deliveries, which without a database are not there', async () => {
    const { call } = await startService();
    const asked = Object.entries(DOCUMENT.paths)
      .filter(([path]) => path.startsWith('/v1/deliveries'))
      .flatMap(([path, operations]) => Object.keys(operations).map((method) => [method, path] as const));
    expect(asked).toHaveLength(4);
    for (const [method, path] of asked) {
      const answer = await call(method.toUpperCase(), path.replace('{id}', DELIVERY.id), {
        headers: { authorization: `Bearer ${KEYS.everything}` },
      });
      expect([answer.status, answer.json['type']]).toEqual([404, '/problems/not-found']);
    }
  });

  it('gives each problem of the catalogue an example and an operation, or says that none answers with it', () => {
    const examples = JSON.stringify(DOCUMENT.paths).matchAll(/"value":\{"type":"\/problems\/([a-z-]+)"/g);
    expect(new Set([...examples].map(([, slug]) => slug))).toEqual(new Set(Object.keys(PROBLEM_TYPES)));
  });

  it.each([
    [{ businessId: 1, content: ' ' }, false],
    [{ businessId: 1, content: '\ufeff\u2028' }, false],
    [{ businessId: 1, content: '😀'.repeat(16_384) }, true],
    [{ businessId: 1, content: '😀'.repeat(16_385) }, false],
    [{ businessId: 2 ** 31, content: 'x' }, false],
    [{ businessId: 1, content: 'x', userId: null }, true],
    [{ businessId: 1, content: 'x', action: null }, false],
    [{ businessId: 1, content: 'x', more: 1 }, false],
  ])('has the rules of a message in it', (message, isValid) => {
    expect(checkBy('/components/schemas/ChatMessage')(message)).toBe(isValid);
  });
});

describe('the check of all answers', () => {
  const headers = { 'x-request-id': 'r', 'x-content-type-options': 'nosniff' };
  const message = {
    id: 1,
    businessId: 1,
    action: 'operator',
    content: 'x',
    userId: null,
    sessionId: null,
    updatedAt: null,
  };
  const created = {
    method: 'POST',
    path: '/v1/chat-messages',
    status: 201,
    headers: { ...headers, 'content-type': 'application/json', location: '/v1/chat-messages/1' },
    body: message,
  };
  const problem = {
    type: '/problems/upstream-failure',
    title: 'x',
    status: 502,
    detail: 'x',
    instance: '/',
    requestId: 'r',
    outcome: 'unknown',
    retryable: false,
  };
  const unknown = {
    ...created,
    status: 502,
    headers: { ...headers, 'content-type': 'application/problem+json' },
    body: problem,
  };

  const { id, state, position, estimatedAt, expiresAt } = DELIVERY;
  const accepted = {
    ...created,
    status: 202,
    headers: {
      ...created.headers,
      location: `/v1/deliveries/${id}`,
      'preference-applied': 'respond-async, wait=5',
    },
    body: { id, state, position, estimatedAt, expiresAt },
  };
  const events = {
    method: 'GET',
    path: `/v1/deliveries/${id}/events`,
    status: 200,
    headers: { ...headers, 'content-type': 'text/event-stream' },
  };
  const event = (delivery: object): string => `event: state\ndata: ${JSON.stringify(delivery)}\n\n`;
  const textless = Object.fromEntries(Object.entries(message).filter(([name]) => name !== 'content'));
  const done = { ...DELIVERY, state: 'done', outcome: 'done', message: { ...textless, content: null } };

  it.each<[string, object, RegExp | undefined]>([
    ['an answer as documented', created, undefined],
    ['a message that is handed over', accepted, undefined],
    [
      'one that says where a message is',
      { ...accepted, headers: created.headers },
      /Location: \/v1\/chat-messages/,
    ],
    [
      'one that does not say so',
      { ...accepted, headers: { ...accepted.headers, 'preference-applied': 'wait=5' } },
      /Preference-Applied: wait=5/,
    ],
    ['a create that is done, and says where it waits', { ...created, headers: accepted.headers }, /Location/],
    ['events', { ...events, text: `: hello\n\n${event(DELIVERY)}${event(done)}` }, undefined],
    ['an event of a delivery in no state', { ...events, text: event({ ...done, state: 'lost' }) }, /\/state/],
    [
      'an event of a message without its text, where it is said to have one',
      { ...events, text: event({ ...done, message: textless }) },
      /content/,
    ],
    ['an event of another name', { ...events, text: 'event: end\ndata: {}\n\n' }, /event: end/],
    ['an event that is cut off', { ...events, text: event(done).trim() }, /cut off/],
    ['no event at all', { ...events, text: ': hello\n\n' }, /no event/],
    ['a status that is not', { ...created, status: 204 }, /does not document a 204/],
    [
      'a missing header',
      { ...created, headers: { ...created.headers, location: undefined } },
      /Location is missing/,
    ],
    [
      'a header out of form',
      { ...created, headers: { ...created.headers, location: '/1' } },
      /Location: \/1/,
    ],
    ['a property too much', { ...created, body: { ...message, updatedBy: 'x' } }, /unevaluated.*updatedBy/],
    ['a property of another type', { ...created, body: { ...message, id: '1' } }, /\/id must be integer/],
    ['a problem as documented', unknown, undefined],
    ['a create that may be repeated', { ...unknown, body: { ...problem, retryable: true } }, /\/retryable/],
    ['a replace that may not', { ...unknown, method: 'PUT', path: '/v1/chat-messages/1' }, /\/retryable/],
    [
      'a media type that is not',
      { ...unknown, headers: { ...headers, 'content-type': 'text/html' } },
      /text\/html is not documented/,
    ],
    ['a success where nothing is served', { ...created, path: '/v2' }, /no operation/],
  ])('finds %s', (_, exchange, expected) => {
    const { body, headers: given, text, ...rest } = { ...created, ...(exchange as { text?: string }) };
    const present = new Headers();
    for (const [name, value] of Object.entries<string | undefined>(given))
      if (value) present.set(name, value);
    const found = contradictions({
      ...rest,
      headers: present,
      text: text ?? JSON.stringify(body),
    });
    if (expected === undefined) expect(found).toEqual([]);
    else expect(found.join()).toMatch(expected);
  });
});

describe('/openapi.json', () => {
  it('is public, and says the limits of this instance', async () => {
    const { call } = await startService({
      env: { CHAT_MESSAGE_MAX_LENGTH: '3', PROBLEM_TYPE_BASE_URL: 'https://docs.example.com/p/' },
    });
    const answer = await call('GET', '/openapi.json');
    expect(answer.status).toBe(200);
    const { components, paths } = answer.json as {
      components: { schemas: Record<string, { properties: Record<string, unknown> }> };
      paths: object;
    };
    expect(components.schemas['ChatMessage']?.properties['content']).toMatchObject({ maxLength: 3 });
    expect(components.schemas['QuotaExhausted']?.properties['type']).toEqual({
      const: 'https://docs.example.com/p/quota-exhausted',
    });
    expect(Object.keys(paths)).toContain('/problems/{slug}');
  });

  it('is not sent again to whoever has it', async () => {
    const { call } = await startService();
    const first = await call('GET', '/openapi.json');
    const etag = first.headers.get('etag') ?? '';
    const second = await call('GET', '/openapi.json', { headers: { 'if-none-match': etag } });
    expect([second.status, second.text]).toEqual([304, '']);
    expect((await call('GET', '/openapi.json', { headers: { 'if-none-match': '"old"' } })).status).toBe(200);
  });
});

describe('/docs', () => {
  it('is a page whose every part comes from this service, and runs nothing that is inline', async () => {
    const { call } = await startService();
    const page = await call('GET', '/docs');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toMatch(
      /default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    expect(page.text).not.toMatch(/<script>|https?:| on\w+=/);
    const parts = [...page.text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, part]) => part);
    expect(parts).toHaveLength(4);
    for (const part of parts) expect((await call('GET', `/${String(part)}`)).status).toBe(200);
  });

  it.each([
    '/docs/',
    '/docs/index.html',
    '/docs/package.json',
    '/docs/..%2fpackage.json',
    '/docs/constructor',
  ])('serves nothing else: %s', async (path) => {
    const { call } = await startService();
    expect((await call('GET', path)).status).toBe(404);
  });
});
