import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NOT_BLANK } from '../src/chat-messages/chat-message.rules.js';
import { KEYS, startService } from './support/service.js';

const MESSAGE = {
  businessId: 123,
  content: 'See you at ten.',
  action: 'operator',
  userId: 77,
  sessionId: 42,
};

describe('creating a chat message', () => {
  it('answers 201 with the representation, and sends Nexudus its own names', async () => {
    const { create, sandbox } = await startService();
    const answer = await create(MESSAGE);
    expect(answer.status).toBe(201);
    const id = answer.json['id'] as number;
    expect(answer.headers.get('location')).toBe(`/v1/chat-messages/${id}`);
    expect(answer.json).toEqual({ id, ...MESSAGE, updatedAt: sandbox.messages.get(id)?.UpdatedOn });
    expect(Object.keys(answer.json)).toEqual([
      'id',
      'businessId',
      'action',
      'content',
      'userId',
      'sessionId',
      'updatedAt',
    ]);
    expect(sandbox.writes).toHaveLength(1);
    expect(sandbox.writes[0]).toMatchObject({
      method: 'POST',
      path: '/api/sys/openaichatmessages',
      json: { BusinessId: 123, Action: 1, Content: 'See you at ten.', UserId: 77, AiChannelSessionId: 42 },
    });
  });

  it('leaves out what the caller leaves out, and answers null for it', async () => {
    const { create, sandbox } = await startService();
    const answer = await create({ businessId: 1, content: 'x', userId: null });
    expect(answer.json).toMatchObject({ action: 'operator', userId: null, sessionId: null });
    expect(sandbox.writes[0]?.json).toEqual({ BusinessId: 1, Action: 1, Content: 'x' });
  });

  it('takes the id alone where Nexudus answers with the whole record', async () => {
    const { create } = await startService({ sandbox: { createValue: 'record' } });
    const answer = await create(MESSAGE);
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.json)).toHaveLength(7);
    expect(answer.text).not.toMatch(/service@example\.com|Coworker/);
  });

  it('carries any content to Nexudus and back, code point for code point', async () => {
    const { create, sandbox } = await startService();
    const content = fc
      .oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'grapheme' }),
        fc.string({
          unit: fc.constantFrom('\0', '\u2028', '\ufeff', '"', '\\', '😀', '\ud800', ' ', '\r\n'),
        }),
      )
      .filter((text) => NOT_BLANK.test(text) && !text.includes('sandbox:'));
    await fc.assert(
      fc.asyncProperty(content, async (text) => {
        const answer = await create({ businessId: 1, content: text });
        expect(answer.json['content']).toBe(text);
        expect((sandbox.writes.at(-1)?.json as { Content: string }).Content).toBe(text);
      }),
      { numRuns: 200 },
    );
  });

  it('reads a body that arrives in pieces, cut inside a character', async () => {
    const { url, sandbox } = await startService();
    const bytes = Buffer.from(JSON.stringify({ businessId: 1, content: '😀é' }));
    const cut = bytes.indexOf(0xf0) + 2;
    const answer = await fetch(`${url}/v1/chat-messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json' },
      body: new ReadableStream({
        start(controller) {
          controller.enqueue(bytes.subarray(0, cut));
          controller.enqueue(bytes.subarray(cut));
          controller.close();
        },
      }),
      duplex: 'half',
    });
    expect(answer.status).toBe(201);
    expect(sandbox.writes[0]?.json).toMatchObject({ Content: '😀é' });
  });
});

describe('replacing a chat message', () => {
  it('answers 200 with the representation, and clears what is left out', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'before', UserId: 7, AiChannelSessionId: 8 });
    const answer = await replace(Id, { businessId: 1, content: 'after', sessionId: 9 });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ id: Id, content: 'after', userId: null, sessionId: 9 });
    expect(sandbox.writes[0]).toMatchObject({ method: 'PUT', path: '/api/sys/openaichatmessages' });
    expect(sandbox.messages.get(Id)).toMatchObject({ Content: 'after', UserId: null, AiChannelSessionId: 9 });
  });

  it('answers 404 for a message that Nexudus does not have', async () => {
    const { replace } = await startService();
    const answer = await replace(5, { businessId: 1, content: 'x' });
    expect(answer.status).toBe(404);
    expect(answer.json).toMatchObject({
      type: '/problems/message-not-found',
      outcome: 'rejected',
      retryable: false,
    });
  });

  it.each(['0', '-1', '1.5', '01', '2147483648', '1e3', 'abc', '%20', '1'.repeat(101)])(
    'refuses the id %s before it looks at the body, and sends nothing',
    async (id) => {
      const { replace, sandbox } = await startService();
      const answer = await replace(id, {});
      expect(answer.status).toBe(400);
      expect(answer.json).toMatchObject({
        type: '/problems/malformed-request',
        errors: [{ parameter: 'id' }],
      });
      expect(sandbox.writes).toHaveLength(0);
    },
  );
});

describe('validation', () => {
  it('reports every fault at once, each with a pointer, and sends nothing', async () => {
    const { create, sandbox } = await startService();
    const answer = await create({
      businessId: '1',
      action: 'robot',
      userId: 0,
      sessionId: 1.5,
      colour: 'red',
      'a/b': 1,
    });
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({
      type: '/problems/validation-failed',
      outcome: 'not-sent',
      retryable: false,
    });
    expect(answer.json['errors']).toEqual([
      { pointer: '#/businessId', detail: 'must be an integer from 1 to 2147483647' },
      { pointer: '#/content', detail: 'is required' },
      { pointer: '#/action', detail: 'must be one of "operator"' },
      { pointer: '#/userId', detail: 'must be an integer from 1 to 2147483647' },
      { pointer: '#/sessionId', detail: 'must be an integer from 1 to 2147483647' },
      { pointer: '#/colour', detail: 'is not a known property' },
      { pointer: '#/a~1b', detail: 'is not a known property' },
    ]);
    expect(sandbox.writes).toHaveLength(0);
  });

  it.each([
    ['a number as text', { businessId: '7', content: 'x' }],
    ['true for a number', { businessId: true, content: 'x' }],
    ['an id beyond 32 bits', { businessId: 2147483648, content: 'x' }],
    ['a null businessId', { businessId: null, content: 'x' }],
    ['a null action', { businessId: 1, content: 'x', action: null }],
    ['content that is only space', { businessId: 1, content: ' \t\n\u00a0' }],
    ['content that is only NEXT LINE', { businessId: 1, content: '\u0085' }],
    ['content that is a list', { businessId: 1, content: ['x'] }],
    ['a list for a message', [{ businessId: 1, content: 'x' }]],
    ['a text for a message', '"businessId"'],
    ['null for a message', 'null'],
    ['__proto__', '{"businessId":1,"content":"x","__proto__":{"action":"operator"}}'],
    ['constructor', '{"businessId":1,"content":"x","constructor":{"prototype":{"a":1}}}'],
    ['20,000 lists in one another', `{"businessId":1,"content":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['a message of 20,000 lists', '['.repeat(20_000) + ']'.repeat(20_000)],
  ])('refuses %s', async (_, body) => {
    const { create, sandbox } = await startService();
    const answer = await create(body);
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ type: '/problems/validation-failed', outcome: 'not-sent' });
    expect(answer.json['errors']).toHaveLength(1);
    expect(sandbox.writes).toHaveLength(0);
    expect({}).not.toHaveProperty('a');
  });

  it('counts the content in code points, and lets the longest through', async () => {
    const { create } = await startService({ env: { CHAT_MESSAGE_MAX_LENGTH: '3' } });
    expect((await create({ businessId: 1, content: '😀😀😀' })).status).toBe(201);
    expect((await create({ businessId: 1, content: '😀😀😀.' })).status).toBe(422);
  });
});

describe('the wait of a caller', () => {
  it('is as short as Prefer says, and the answer says that it was heeded', async () => {
    const { create, sandbox } = await startService();
    sandbox.next({ kind: 'hang' });
    const answer = await create({ businessId: 1, content: 'x' }, { prefer: 'respond-async, wait=5' });
    expect(answer.status).toBe(504);
    expect(answer.headers.get('preference-applied')).toBe('wait=5');
  });

  it.each(['wait=0', 'wait=soon', 'wait=-1', 'wait=3600', 'return=minimal'])(
    'is not changed by %s',
    async (prefer) => {
      const { create } = await startService();
      const answer = await create({ businessId: 1, content: 'x' }, { prefer });
      expect(answer.status).toBe(201);
      expect(answer.headers.has('preference-applied')).toBe(false);
    },
  );
});

describe('the businesses of a caller', () => {
  const authorization = `Bearer ${KEYS.businessesOneAndTwo}`;

  it('are those it may write for', async () => {
    const { create } = await startService();
    expect((await create({ businessId: 2, content: 'x' }, { authorization })).status).toBe(201);
  });

  it('are the only ones it may write for, and others are refused before anything is sent', async () => {
    const { create, sandbox } = await startService();
    const answer = await create({ businessId: 3, content: 'x' }, { authorization });
    expect(answer.status).toBe(403);
    expect(answer.json).toMatchObject({ type: '/problems/forbidden', outcome: 'not-sent' });
    expect(sandbox.writes).toHaveLength(0);
  });

  it('are looked at after the rules: a faulty message of a foreign business is a 422', async () => {
    const { create } = await startService();
    expect((await create({ businessId: 3 }, { authorization })).status).toBe(422);
  });
});
