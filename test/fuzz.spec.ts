import { Agent, request } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { contradictions } from './support/documented.js';
import { KEYS, startService, type TestService } from './support/service.js';

// Requests are made from the OpenAPI document that the service itself serves, and ajv judges by it whether one is
// valid: an oracle that shares no line with the service's own validation.

const SHORT = { CHAT_MESSAGE_MAX_LENGTH: '40' };
const agent = new Agent({ keepAlive: true });

interface Schema {
  readonly type: string | string[];
  readonly properties: Readonly<Record<string, Schema>>;
  readonly enum?: unknown[];
  readonly minimum: number;
  readonly maximum: number;
  readonly maxLength: number;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

interface Received {
  readonly status: number;
  readonly text: string;
}

const AUTHORIZED = { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json' };

/** Sends a request as it is (fetch would tidy it up), and holds the answer against the document. */
async function exchange(url: string, { method, path, headers, body }: Sent): Promise<Received> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    // Named here, since Node frames no body of a GET or a DELETE by itself.
    const framed = { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) };
    const call = request({ agent, hostname, port, method, path, headers: framed }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => {
        const status = answer.statusCode ?? 0;
        const got = new Headers(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
        const faults = contradictions({ method, path, status, headers: got, text });
        if (faults.length > 0) reject(new Error(faults.join('\n')));
        else resolve({ status, text });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** The rules for a message as this very instance publishes them. */
async function publishedRules({ call }: TestService): Promise<{ schema: Schema; isValid: ValidateFunction }> {
  const document = (await call('GET', '/openapi.json')).json as {
    components: { schemas: { ChatMessage: Schema } };
  };
  const schema = document.components.schemas.ChatMessage;
  return { schema, isValid: new Ajv2020({ strict: false }).compile(schema) };
}

/** Values at, around and far from what a schema allows. */
function valueFor(schema: Schema): fc.Arbitrary<unknown> {
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, true, '', 0, -0, [], {}));
  if (schema.enum) return fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...schema.enum) }, anything);
  const types = [schema.type].flat();
  if (types.includes('integer')) {
    const { minimum, maximum } = schema;
    const edges = [minimum - 1, minimum, maximum, maximum + 1, minimum + 0.5, `${minimum}`, 1e21, null];
    return fc.oneof(
      { weight: 12, arbitrary: fc.integer({ min: minimum, max: maximum }) },
      { weight: 2, arbitrary: fc.constantFrom<unknown>(...edges) },
      anything,
    );
  }
  const character = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom(
      '😀',
      '\ud800',
      '\udc00',
      '\0',
      '\ufeff',
      '\u2028',
      '\u00a0',
      '\u180e',
      ' ',
      '\n',
      'é',
      '"',
      '\\',
    ),
  );
  const lengths = fc.constantFrom(1, 2, schema.maxLength - 1, schema.maxLength, schema.maxLength + 1);
  const text = lengths.chain((length) =>
    fc.array(character, { minLength: length, maxLength: length }).map((all) => all.join('')),
  );
  const blank = fc.string({
    unit: fc.constantFrom(' ', '\t', '\ufeff', '\u2029', '\u3000', '\u0085'),
    maxLength: 4,
  });
  return fc.oneof({ weight: 12, arbitrary: text }, blank, anything).filter(isNoInstruction);
}

/** The fake Nexudus takes orders from contents that begin so. */
function isNoInstruction(value: unknown): boolean {
  return typeof value !== 'string' || !value.includes('sandbox:');
}

/** Messages of which about a third is valid, some with properties that nobody knows. */
function messageFor({ properties }: Schema): fc.Arbitrary<unknown> {
  const known = fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valueFor(schema)])),
    { requiredKeys: ['businessId', 'content'] },
  );
  const names = fc.constantFrom('__proto__', 'constructor', 'toString', 'BusinessId', 'id', 'a/b', '~', '');
  const strange = fc.dictionary(fc.oneof(names, fc.string()), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 2 });
  return fc.oneof(
    { weight: 8, arbitrary: known },
    { weight: 1, arbitrary: fc.tuple(known, strange).map(([message, more]) => Object.assign(more, message)) },
    { weight: 1, arbitrary: fc.tuple(known, fc.nat(4)).map(([message, at]) => without(message, at)) },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  );
}

function without(message: object, at: number): object {
  return Object.fromEntries(Object.entries(message).filter((_, index) => index !== at));
}

describe('whatever the message', () => {
  it.each(['POST', 'PUT'])(
    'a %s is sent exactly once if it is valid, and else not at all',
    async (method) => {
      const service = await startService({ env: SHORT });
      const { url, sandbox } = service;
      const { schema, isValid } = await publishedRules(service);
      const path =
        method === 'POST' ? '/v1/chat-messages' : `/v1/chat-messages/${sandbox.seed({ BusinessId: 1 }).Id}`;
      const seen = { valid: 0, invalid: 0 };
      await fc.assert(
        fc.asyncProperty(messageFor(schema), async (message) => {
          const body = JSON.stringify(message);
          const valid = isValid(JSON.parse(body));
          seen[valid ? 'valid' : 'invalid'] += 1;
          const before = sandbox.writes.length;
          const { status, text } = await exchange(url, { method, path, headers: AUTHORIZED, body });
          expect({ status, sent: sandbox.writes.length - before }).toEqual(
            valid ? { status: method === 'POST' ? 201 : 200, sent: 1 } : { status: 422, sent: 0 },
          );
          if (valid)
            expect(JSON.parse(text)).toMatchObject({ content: (message as { content: string }).content });
        }),
        { numRuns: 600 },
      );
      // Else the property says little.
      expect(Math.min(seen.valid, seen.invalid)).toBeGreaterThan(100);
    },
  );
});

describe('whatever the bytes', () => {
  it('a body that is no JSON, or no message, is refused by what it is', async () => {
    const service = await startService({ env: SHORT });
    const { url, sandbox } = service;
    const { isValid } = await publishedRules(service);
    const whole = Buffer.from(JSON.stringify({ businessId: 7, content: 'é😀 "x"', userId: null }));
    const broken = fc
      .tuple(fc.nat(whole.length), fc.nat(3), fc.uint8Array({ maxLength: 3 }))
      .map(([at, cut, put]) => Buffer.concat([whole.subarray(0, at), put, whole.subarray(at + cut)]));
    const spaced = fc
      .tuple(
        fc.constantFrom('', ' ', '\n', '\t\r ', '\ufeff', '\u00a0'),
        fc.constantFrom('', ' ', '\n', '\0', '}', ','),
      )
      .map(([before, after]) => Buffer.concat([Buffer.from(before), whole, Buffer.from(after)]));
    const arbitrary = fc.oneof(
      { weight: 4, arbitrary: broken },
      spaced,
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
    );
    await fc.assert(
      fc.asyncProperty(arbitrary, async (body) => {
        const expected = judge(body, isValid);
        const before = sandbox.writes.length;
        const { status } = await exchange(url, {
          method: 'POST',
          path: '/v1/chat-messages',
          headers: AUTHORIZED,
          body,
        });
        expect({ status, sent: sandbox.writes.length - before }).toEqual({
          status: expected,
          sent: expected === 201 ? 1 : 0,
        });
      }),
      { numRuns: 600 },
    );
  });

  function judge(body: Uint8Array, isValid: ValidateFunction): number {
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
      return isValid(JSON.parse(text)) ? 201 : 422;
    } catch {
      return 400;
    }
  }
});

describe('whatever the request', () => {
  const word = fc.string({
    unit: fc.constantFrom(...Array.from('ab09"\'\\;,=: \t%/{}()é\x7f~')),
    maxLength: 12,
  });
  const methods = fc.constantFrom(
    ...[
      'GET',
      'HEAD',
      'POST',
      'POST',
      'PUT',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'QUERY',
      'PROPFIND',
      'PURGE',
    ],
  );
  const ids = fc.constantFrom(
    ...[
      '0',
      '1',
      '1001',
      '2147483647',
      '2147483648',
      '-1',
      '01',
      '1.0',
      '1e3',
      '%31',
      '%00',
      '%zz',
      '１',
      '',
      '..',
      '*',
    ],
  );
  const segment = fc
    .string({ unit: fc.constantFrom(...Array.from('v1-./%25zcdo:{}~@*;=&\\^`|"<>')), maxLength: 10 })
    .map((text) => text.replace(/[^\x21-\x7e]/g, ''));
  const paths = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('/v1/chat-messages', '/v1/chat-messages/1001') },
    fc.constantFrom(
      '/v1/chat-messages',
      '/v1/chat-messages/',
      '/V1/chat-messages',
      '//v1/chat-messages',
      '*',
      '/',
    ),
    ids.map((id) => `/v1/chat-messages/${encodeURI(id).replaceAll('%25', '%')}`),
    fc.constantFrom(
      '/problems',
      '/problems/__proto__',
      '/problems/forbidden',
      '/openapi.json',
      '/docs',
      '/docs/x',
    ),
    segment.map((text) => `/${text}`),
    fc
      .tuple(fc.constantFrom('/v1/chat-messages', '/problems', '/docs'), segment)
      .map(([path, text]) => `${path}?${text}`),
  );
  const noise = fc.dictionary(
    fc.constantFrom(
      ...[
        'idempotency-key',
        'prefer',
        'traceparent',
        'tracestate',
        'x-request-id',
        'accept',
        'origin',
        'cookie',
      ],
      ...[
        'content-encoding',
        'if-none-match',
        'x-forwarded-for',
        'accept-encoding',
        'range',
        'x-http-method-override',
      ],
    ),
    word,
    { maxKeys: 3 },
  );
  const contentTypes = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('application/json', 'application/json; charset=utf-8') },
    fc.constantFrom(
      'text/plain',
      'application/xml',
      'application/json; charset=latin1',
      'application/problem+json',
      '',
    ),
    word,
  );
  const credentials = fc.oneof(
    { weight: 5, arbitrary: fc.constant(AUTHORIZED.authorization) },
    fc.constantFrom(
      '',
      'Bearer',
      'Bearer x',
      'Basic eDp5',
      `bearer  ${KEYS.everything} `,
      `Bearer ${KEYS.expired}`,
    ),
    word,
  );

  it('the answer is a documented one, and a message is sent once or not at all', async () => {
    const service = await startService({ env: SHORT });
    const { url, sandbox, log } = service;
    sandbox.seed({ Id: 1001, BusinessId: 1 });
    const { schema, isValid } = await publishedRules(service);
    const requests = fc.record({
      method: methods,
      path: paths,
      headers: fc
        .tuple(noise, contentTypes, credentials)
        .map(([more, type, authorization]) => visible({ ...more, 'content-type': type, authorization })),
      message: fc.oneof(fc.constant({ businessId: 1, content: 'x' }), messageFor(schema)),
    });
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(requests, async ({ message, ...sent }) => {
        const before = sandbox.writes.length;
        const body = JSON.stringify(message);
        const { status, text } = await exchange(url, { ...sent, body });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        const reached = sandbox.writes.length - before;
        expect(status).toBeLessThan(500);
        const { outcome } = (status >= 400 && text !== '' ? JSON.parse(text) : {}) as { outcome?: string };
        const isDone = status < 300 && ['POST', 'PUT'].includes(sent.method);
        expect(reached).toBe(isDone || outcome === 'rejected' ? 1 : 0);
        if (reached > 0) expect(isValid(JSON.parse(body))).toBe(true);
      }),
      { numRuns: 1_200 },
    );
    expect([...statuses.keys()]).toEqual(expect.arrayContaining([200, 201, 400, 401, 404, 405, 415, 422]));
    expect(log.filter(({ level }) => (level as number) >= 50)).toEqual([]);
  });

  /** Header values as a client's library lets them through. */
  function visible(headers: Record<string, string>): Record<string, string> {
    return Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replace(/[^\t\x20-\x7e\x80-\xff]/g, '')]),
    );
  }
});
