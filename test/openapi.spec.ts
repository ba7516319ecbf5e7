import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openApiDocument } from '../src/openapi/document.js';
import { PROBLEM_TYPES } from '../src/problem-details/problem.catalogue.js';
import { checkBy, contradictions, DOCUMENT } from './support/documented.js';
import { startService } from './support/service.js';

// That every answer of every other test is as the document says is checked where they are all received: in
// test/support/service.ts.

describe('openapi.json', () => {
  it('is what the code says now: else `npm run openapi` writes it anew', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(DOCUMENT).toEqual(JSON.parse(JSON.stringify(openApiDocument(version))));
  });

  it('describes every controller: a handler without a description does not even compile', () => {
    const described = readFileSync('src/openapi/operations.ts', 'utf8');
    const controllers = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap(
        (path) =>
          /@Controller\([^]*export class (\w+)/.exec(readFileSync(join('src', path), 'utf8'))?.[1] ?? [],
      );
    expect(controllers.filter((name) => !described.includes(`describe(${name},`))).toEqual([]);
    expect(controllers).toHaveLength(3);
  });

  it('has the operations that are served under its paths, and no other', async () => {
    const { call } = await startService();
    for (const [path, operations] of Object.entries(DOCUMENT.paths)) {
      const refused = await call('PATCH', path.replace('{id}', '1'));
      expect([path, refused.headers.get('allow')?.replace(', HEAD', '')]).toEqual([
        path,
        Object.keys(operations).join().toUpperCase(),
      ]);
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

  it.each<[string, object, RegExp | undefined]>([
    ['an answer as documented', created, undefined],
    ['a status that is not', { ...created, status: 202 }, /does not document a 202/],
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
    const { body, headers: given, ...rest } = { ...created, ...exchange };
    const present = new Headers();
    for (const [name, value] of Object.entries<string | undefined>(given))
      if (value) present.set(name, value);
    const found = contradictions({
      ...rest,
      headers: present,
      text: JSON.stringify(body),
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
