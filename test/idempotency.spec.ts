import { describe, expect, it } from '@jest/globals';
import { KEYS, startService } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'See you at ten.', sessionId: 4 };
const keyed = (key: string, token = KEYS.everything): Record<string, string> => ({
  'idempotency-key': key,
  authorization: `Bearer ${token}`,
});

describe('a repeat with the same key', () => {
  it('gets the first answer byte for byte, and Nexudus gets one message', async () => {
    const { create, sandbox, log } = await startService();
    const first = await create(MESSAGE, keyed('"k-1"'));
    const repeat = await create(MESSAGE, keyed('k-1'));
    expect([first.status, repeat.status]).toEqual([201, 201]);
    expect(repeat.text).toBe(first.text);
    expect(repeat.headers.get('location')).toBe(first.headers.get('location'));
    expect(repeat.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect([first, repeat].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true']);
    expect(sandbox.writes).toHaveLength(1);
    await until(() => log.filter(({ message }) => message === 'request').length === 2);
    const lines = log.filter(({ message }) => message === 'request');
    expect(lines[1]).toMatchObject({ outcome: 'done', status: 201, replayed: true, attempts: 0 });
  });

  it('is the same for a body with its names in another order and other white space', async () => {
    const { create, sandbox } = await startService();
    const first = await create(MESSAGE, keyed('k'));
    const repeat = await create(
      ' {"sessionId":4,\n"content":"See you at t\\u0065n." ,"businessId":1.0}',
      keyed('k'),
    );
    expect(repeat.text).toBe(first.text);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('gets a rejection of Nexudus again, under the request id of the first; the header is the present one', async () => {
    const { create, sandbox } = await startService();
    sandbox.next({
      kind: 'reject',
      errors: [{ PropertyName: 'Content', Message: 'is rude', AttemptedValue: 'x' }],
    });
    const first = await create(MESSAGE, { ...keyed('k'), 'x-request-id': 'first' });
    const repeat = await create(MESSAGE, { ...keyed('k'), 'x-request-id': 'second' });
    expect(first.json).toMatchObject({ status: 422, outcome: 'rejected', requestId: 'first' });
    expect(repeat.status).toBe(422);
    expect(repeat.text).toBe(first.text);
    expect(repeat.headers.get('content-type')).toBe('application/problem+json');
    expect(repeat.headers.get('x-request-id')).toBe('second');
    expect(repeat.headers.get('idempotency-replayed')).toBe('true');
    expect(sandbox.writes).toHaveLength(1);
  });

  it.each([
    ['lost', { kind: 'lost' }, 502],
    ['an error of Nexudus', { kind: 'error-500', executed: true }, 502],
  ] as const)(
    'never sends a create again whose answer was %s: unknown again',
    async (_, scenario, status) => {
      const { create, sandbox } = await startService();
      sandbox.next(scenario);
      const first = await create(MESSAGE, keyed('k'));
      const repeats = [await create(MESSAGE, keyed('k')), await create(MESSAGE, keyed('k'))];
      expect(first.json).toMatchObject({ status, outcome: 'unknown', retryable: false });
      for (const repeat of repeats) {
        expect([repeat.status, repeat.text]).toEqual([status, first.text]);
        expect(repeat.headers.get('idempotency-replayed')).toBe('true');
      }
      expect(sandbox.writes).toHaveLength(1);
    },
  );

  it('nor one that got no answer in time', async () => {
    const { create, sandbox } = await startService({ env: { NEXUDUS_ATTEMPT_TIMEOUT_MS: '2000' } });
    sandbox.next({ kind: 'hang' });
    expect((await create(MESSAGE, keyed('k'))).status).toBe(504);
    expect((await create(MESSAGE, keyed('k'))).json).toMatchObject({ status: 504, outcome: 'unknown' });
    expect(sandbox.writes).toHaveLength(1);
    sandbox.release();
  });

  it('gets the answer of a replace again, and sends nothing', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'before' });
    const first = await replace(Id, MESSAGE, keyed('k'));
    const repeat = await replace(Id, MESSAGE, keyed('k'));
    expect([repeat.status, repeat.text]).toEqual([200, first.text]);
    expect(repeat.headers.get('idempotency-replayed')).toBe('true');
    expect(repeat.headers.has('location')).toBe(false);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('gets the 404 of a replace again: Nexudus decided', async () => {
    const { replace, sandbox } = await startService();
    const first = await replace(5, MESSAGE, keyed('k'));
    const repeat = await replace(5, MESSAGE, keyed('k'));
    expect(first.json).toMatchObject({ status: 404, outcome: 'rejected' });
    expect([repeat.status, repeat.text]).toEqual([404, first.text]);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('sends an unknown replace again: that is safe', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'before' });
    sandbox.always({ kind: 'error-500' }, { on: 'update' });
    const first = await replace(Id, MESSAGE, keyed('k'));
    expect(first.json).toMatchObject({ status: 502, outcome: 'unknown', retryable: true });
    sandbox.clearScenarios();
    sandbox.clearCalls();
    const repeat = await replace(Id, MESSAGE, keyed('k'));
    expect(repeat.status).toBe(200);
    expect(repeat.headers.has('idempotency-replayed')).toBe(false);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('is a new request when its time is over', async () => {
    const { create, sandbox } = await startService({ env: { IDEMPOTENCY_TTL_S: '5' } });
    await create(MESSAGE, keyed('k'));
    let repeat = await create(MESSAGE, keyed('k'));
    expect(repeat.headers.get('idempotency-replayed')).toBe('true');
    while (repeat.headers.has('idempotency-replayed')) repeat = await create(MESSAGE, keyed('k'));
    expect(repeat.status).toBe(201);
    expect(sandbox.writes).toHaveLength(2);
  });
});

describe('a key stays free after', () => {
  it.each([
    ['a throttle that outlasts the wait', { kind: 'throttle', retryAfter: '60' }, 429],
    ['an account that is refused', { kind: 'edge-403' }, 503],
  ] as const)('%s', async (_, scenario, status) => {
    const { create, sandbox } = await startService();
    sandbox.next(scenario);
    expect((await create(MESSAGE, keyed('k'))).status).toBe(status);
    const again = await create({ ...MESSAGE, content: 'another body' }, keyed('k'));
    // Another body under the same key is no reuse, since the key was never taken: refused for another reason, or sent.
    expect(again.json['type']).not.toBe('/problems/idempotency-key-reused');
  });

  it("a body that breaks our rules, and a business that is not the caller's", async () => {
    const { create, sandbox } = await startService();
    const refused = await create({ ...MESSAGE, content: '' }, keyed('k', KEYS.businessesOneAndTwo));
    const foreign = await create({ ...MESSAGE, businessId: 3 }, keyed('k', KEYS.businessesOneAndTwo));
    const good = await create(MESSAGE, keyed('k', KEYS.businessesOneAndTwo));
    expect([refused.status, foreign.status, good.status]).toEqual([422, 403, 201]);
    expect(good.headers.has('idempotency-replayed')).toBe(false);
    expect(sandbox.writes).toHaveLength(1);
  });
});

describe('a key that was used with another body', () => {
  it('is refused as reused, while it runs and after', async () => {
    const { create, sandbox } = await startService();
    sandbox.next({ kind: 'hold' });
    const first = create(MESSAGE, keyed('k'));
    await sandbox.waitForCall((call) => call.method === 'POST' && call.path.includes('chatmessages'));
    const during = await create({ ...MESSAGE, content: 'other' }, keyed('k'));
    sandbox.release();
    await first;
    const after = await create({ ...MESSAGE, content: 'other' }, keyed('k'));
    for (const answer of [during, after]) {
      expect(answer.status).toBe(422);
      expect(answer.json).toMatchObject({
        type: '/problems/idempotency-key-reused',
        outcome: 'not-sent',
        retryable: false,
      });
    }
    expect(sandbox.writes).toHaveLength(1);
  });

  it('is refused for a field that is null instead of left out: the body is another', async () => {
    const { create } = await startService();
    await create(MESSAGE, keyed('k'));
    expect((await create({ ...MESSAGE, userId: null }, keyed('k'))).status).toBe(422);
  });
});

describe('a key that is in use', () => {
  it('is a 409 that says when to come again, to each of many; one message is sent', async () => {
    const { create, sandbox } = await startService();
    sandbox.next({ kind: 'hold' });
    const first = create(MESSAGE, keyed('k'));
    await sandbox.waitForCall((call) => call.method === 'POST' && call.path.includes('chatmessages'));
    const during = await Promise.all(Array.from({ length: 10 }, () => create(MESSAGE, keyed('k'))));
    for (const answer of during) {
      expect(answer.status).toBe(409);
      expect(answer.json).toMatchObject({
        type: '/problems/idempotency-key-in-use',
        outcome: 'not-sent',
        retryable: true,
      });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    sandbox.release();
    const { text } = await first;
    expect((await create(MESSAGE, keyed('k'))).text).toBe(text);
    expect(sandbox.writes).toHaveLength(1);
  });
});

describe('a key is of its own scope:', () => {
  it('another caller, another operation and another message have other keys', async () => {
    const { create, replace, sandbox } = await startService();
    const ids = [1, 2].map(() => sandbox.seed({ BusinessId: 1, Content: 'before' }).Id);
    const answers = [
      await create(MESSAGE, keyed('k')),
      await create(MESSAGE, keyed('k', KEYS.businessesOneAndTwo)),
      ...(await Promise.all(ids.map((id) => replace(id, MESSAGE, keyed('k'))))),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 200, 200]);
    expect(answers.some(({ headers }) => headers.has('idempotency-replayed'))).toBe(false);
    expect(sandbox.writes).toHaveLength(4);
  });
});

/** Begins to create a message with the key `k`; call what it returns to hang up. */
function createAndHangUp(url: string): () => Promise<void> {
  const connection = new AbortController();
  const answer = fetch(`${url}/v1/chat-messages`, {
    method: 'POST',
    signal: connection.signal,
    headers: { ...keyed('k'), 'content-type': 'application/json' },
    body: JSON.stringify(MESSAGE),
  });
  return async () => {
    connection.abort();
    await expect(answer).rejects.toThrow('aborted');
  };
}

describe('a caller who hangs up', () => {
  it('after its message was sent finds the answer under its key', async () => {
    const { create, sandbox, url, log } = await startService();
    sandbox.next({ kind: 'hold' });
    const hangUp = createAndHangUp(url);
    await sandbox.waitForCall((call) => call.method === 'POST' && call.path.includes('chatmessages'));
    await hangUp();
    sandbox.release();
    await until(() => log.some(({ message }) => message === 'request'));
    const repeat = await create(MESSAGE, keyed('k'));
    expect(repeat.status).toBe(201);
    expect(repeat.headers.get('idempotency-replayed')).toBe('true');
    expect(sandbox.writes).toHaveLength(1);
  });

  it('before its message was sent leaves the key free', async () => {
    const { create, sandbox, url, log } = await startService();
    // After a throttle nothing is sent as long as another call is under way.
    sandbox.next({ kind: 'hold' });
    const held = create({ ...MESSAGE, sessionId: 5 });
    await sandbox.waitForCall(() => sandbox.writes.length === 1);
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    const hangUp = createAndHangUp(url);
    await until(() => log.some(({ verdict }) => verdict === 'throttled'));
    await hangUp();
    await until(() => log.some(({ message }) => message === 'request'));
    sandbox.release();
    expect((await held).status).toBe(201);
    const other = await create({ ...MESSAGE, content: 'other' }, keyed('k'));
    expect(other.status).toBe(201);
    expect(sandbox.messages.size).toBe(2);
  });
});

describe('the header', () => {
  it.each(['', '""', '"a', 'a b', '"a", "b"', 'x'.repeat(256)])(
    'that is not one key (%j) is a malformed request, and nothing is sent',
    async (header) => {
      const { create, sandbox } = await startService();
      const answer = await create(MESSAGE, keyed(header));
      expect(answer.status).toBe(400);
      expect(answer.json).toMatchObject({ type: '/problems/malformed-request', outcome: 'not-sent' });
      expect(sandbox.writes).toEqual([]);
    },
  );

  it('may come with every write that is well-formed: each of many keys is one message', async () => {
    const { create, sandbox } = await startService();
    const keys = Array.from({ length: 20 }, (_, index) => `k-${index}`);
    await Promise.all([...keys, ...keys, ...keys].map((key) => create(MESSAGE, keyed(key))));
    expect(sandbox.writes).toHaveLength(20);
  });
});
