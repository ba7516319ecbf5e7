import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import type { Scenario } from '../src/sandbox/nexudus-sandbox.js';
import { KEYS, startService } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'x' };
const ERRORS = [
  { PropertyName: 'AiChannelSessionId', Message: 'does not exist', AttemptedValue: 'attempted' },
  { PropertyName: 'Content', Message: 'attempted is not allowed', AttemptedValue: 'attempted' },
  { PropertyName: 'Id', Message: 'is not yours', AttemptedValue: null },
  { PropertyName: 'CoworkerId', Message: 'is a required field', AttemptedValue: null },
];

describe('a create', () => {
  it.each<[Scenario, number, string, string]>([
    [{ kind: 'reject', errors: ERRORS }, 422, 'validation-failed', 'rejected'],
    [{ kind: 'reject', errors: null, innerStatus: 500 }, 422, 'validation-failed', 'rejected'],
    [{ kind: 'reject-in-200', errors: ERRORS }, 422, 'validation-failed', 'rejected'],
    [{ kind: 'reject-in-200', errors: null }, 422, 'validation-failed', 'rejected'],
    [{ kind: 'inner-status', status: 400 }, 422, 'validation-failed', 'rejected'],
    [{ kind: 'inner-status', status: 500, executed: true }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'lost' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'lost', reset: true }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'dropped' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'truncated' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'garbage' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'html', status: 502 }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'html', status: 503, executed: true }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'html', status: 400 }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'error-500', executed: true }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'empty', status: 200 }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'not-json' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'json', status: 200, body: null }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'json', status: 200, body: [{ Id: 1 }] }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'json', status: 404, body: 'Not found' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'success-without-id' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'redirect', location: '/elsewhere' }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'too-large', bytes: 2_000_000 }, 502, 'upstream-failure', 'unknown'],
    [{ kind: 'edge-403' }, 503, 'upstream-access-denied', 'not-sent'],
    [{ kind: 'forbidden' }, 503, 'upstream-access-denied', 'not-sent'],
  ])(
    'that Nexudus answers with %j is sent once, and ends %i %s, %s',
    async (scenario, status, slug, outcome) => {
      const { create, sandbox, url } = await startService();
      sandbox.next(scenario, { on: 'create' });
      const answer = await create(MESSAGE);
      expect(answer.status).toBe(status);
      expect(answer.json).toMatchObject({ type: `/problems/${slug}`, outcome, retryable: status === 503 });
      expect(sandbox.writes).toHaveLength(1);
      expect(answer.headers.has('retry-after')).toBe(status === 503);
      // Nothing of the upstream's inside, and nothing of ours: no markup, host, account, token or stack.
      expect(answer.text).not.toMatch(/<|https?:|@|Bearer|\bat .*:\d+|attempted/);
      expect(answer.text).not.toContain(sandbox.url.replace('http://', ''));
      expect(url).not.toBe(sandbox.url);
    },
  );

  it("translates the faults that Nexudus found into the caller's terms", async () => {
    const { create, sandbox } = await startService();
    sandbox.next({ kind: 'reject', errors: ERRORS });
    expect((await create(MESSAGE)).json['errors']).toEqual([
      { pointer: '#/sessionId', detail: 'does not exist' },
      { pointer: '#/content', detail: '(the value) is not allowed' },
      { parameter: 'id', detail: 'is not yours' },
      { detail: 'CoworkerId: is a required field' },
    ]);
  });

  it('never repeats what was sent, nor where to, in the words of Nexudus', async () => {
    const { create, sandbox } = await startService();
    const host = new URL(sandbox.url).host;
    sandbox.next({
      kind: 'reject',
      errors: null,
      message: `Content: "My Secret sentence" of 77 is bad at ${host}`,
    });
    const answer = await create({ businessId: 1, content: 'my secret sentence', userId: 77 });
    expect(answer.json['errors']).toEqual([
      { detail: 'Content: "(the value)" of (the value) is bad at (the value)' },
    ]);
  });

  it('that gets no answer in time is an unknown 504, and is sent once', async () => {
    const { create, sandbox } = await startService({ env: { NEXUDUS_ATTEMPT_TIMEOUT_MS: '2000' } });
    sandbox.next({ kind: 'hang' });
    const answer = await create(MESSAGE);
    expect(answer.status).toBe(504);
    expect(answer.json).toMatchObject({
      type: '/problems/upstream-timeout',
      outcome: 'unknown',
      retryable: false,
    });
    expect(sandbox.writes).toHaveLength(1);
  });

  it('whose answer stalls half-way is an unknown 504', async () => {
    const { create, sandbox } = await startService({ env: { NEXUDUS_ATTEMPT_TIMEOUT_MS: '2000' } });
    sandbox.next({ kind: 'stalled' });
    expect((await create(MESSAGE)).json).toMatchObject({
      type: '/problems/upstream-timeout',
      outcome: 'unknown',
    });
  });

  it('is sent again as long as nobody could be connected to, and then refused as not-sent', async () => {
    const { create, sandbox, log } = await startService();
    await create(MESSAGE);
    await sandbox.close();
    const answer = await create(MESSAGE);
    expect(answer.status).toBe(503);
    expect(answer.json).toMatchObject({
      type: '/problems/upstream-unavailable',
      outcome: 'not-sent',
      retryable: true,
    });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const attempts = log.filter((line) => line['verdict'] === 'not-sent').map((line) => line['attempt']);
    expect(attempts).toEqual([1, 2, 3, 4, 5]);
  });

  it('is delivered when the upstream comes back while it waits', async () => {
    const { create, sandbox, log } = await startService();
    await create(MESSAGE);
    const port = Number(new URL(sandbox.url).port);
    // The longest pauses between the attempts, so that none is the last before it is back.
    jest.spyOn(Math, 'random').mockReturnValue(0.999);
    await sandbox.close();
    const answer = create(MESSAGE);
    await until(() => log.some((line) => line['verdict'] === 'not-sent'));
    const again = await (await import('../src/sandbox/nexudus-sandbox.js')).NexudusSandbox.start({ port });
    try {
      // The token died with the first one: a 401, a login, and then the message, once.
      expect((await answer).status).toBe(201);
      expect(again.messages.size).toBe(1);
    } finally {
      jest.restoreAllMocks();
      await again.close();
    }
  });

  it.each([
    ['in time for another attempt', '100'],
    ['before too little is left for an answer', '60000'],
  ])(
    'counts as not-sent where the host takes connections but no TLS handshake ends %s',
    async (_, timeoutMs) => {
      const taken: Socket[] = [];
      const silent = createServer((socket) => taken.push(socket));
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      try {
        const { create } = await startService({
          env: {
            NEXUDUS_BASE_URL: `https://127.0.0.1:${(silent.address() as AddressInfo).port}`,
            NEXUDUS_CONNECT_TIMEOUT_MS: timeoutMs,
            REQUEST_DEADLINE_MS: '1000',
          },
        });
        expect((await create(MESSAGE)).json).toMatchObject({
          type: '/problems/upstream-unavailable',
          outcome: 'not-sent',
        });
      } finally {
        silent.close();
        for (const socket of taken) socket.destroy();
      }
    },
  );

  it('on a kept-alive connection that dies after the request was written is unknown, and not sent again', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.next({ kind: 'dropped', reset: true });
    expect((await create(MESSAGE)).json).toMatchObject({ outcome: 'unknown' });
    const [before, lost] = [sandbox.calls.slice(0, -1), sandbox.calls.at(-1)];
    expect(before.map(({ connection }) => connection)).toContain(lost?.connection);
    expect(sandbox.writes).toHaveLength(2);
  });
});

describe('a replace', () => {
  it.each<[Scenario]>([
    [{ kind: 'lost' }],
    [{ kind: 'dropped', reset: true }],
    [{ kind: 'truncated' }],
    [{ kind: 'html', status: 504 }],
    [{ kind: 'error-500' }],
    [{ kind: 'empty', status: 200 }],
  ])('that may have run is sent again, since that is safe: %j', async (scenario) => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1 });
    sandbox.next(scenario);
    expect((await replace(Id, MESSAGE)).status).toBe(200);
    expect(sandbox.writes).toHaveLength(2);
  });

  it('is given up after five failures, as an unknown that may be repeated', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1 });
    sandbox.always({ kind: 'error-500' });
    const answer = await replace(Id, MESSAGE);
    expect(answer.status).toBe(502);
    expect(answer.json).toMatchObject({
      type: '/problems/upstream-failure',
      outcome: 'unknown',
      retryable: true,
    });
    expect(sandbox.writes).toHaveLength(5);
  });

  it('never claims not-sent once an attempt may have run, however the later ones end', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1 });
    sandbox.next({ kind: 'lost' });
    sandbox.next({ kind: 'edge-403' });
    expect((await replace(Id, MESSAGE)).json).toMatchObject({ outcome: 'unknown', retryable: true });
  });

  it.each(['404-string', '400-errors', '200-unsuccessful'] as const)(
    'of a message that is not there ends rejected, whichever way Nexudus says so: %s',
    async (unknownIdAnswer) => {
      const { replace, sandbox } = await startService({ sandbox: { unknownIdAnswer } });
      const answer = await replace(5, MESSAGE);
      expect([404, 422]).toContain(answer.status);
      expect(answer.json).toMatchObject({ outcome: 'rejected', retryable: false });
      expect(sandbox.writes).toHaveLength(1);
    },
  );
});

describe('a throttled write', () => {
  it.each<[Scenario]>([
    [{ kind: 'throttle', status: 409, retryAfter: '1' }],
    [{ kind: 'throttle', status: 429, retryAfter: '1' }],
    [{ kind: 'throttle', status: 409, retryAfter: null }],
  ])('waits and is sent again: %j', async (scenario) => {
    const { create, sandbox } = await startService();
    sandbox.next(scenario);
    expect((await create(MESSAGE)).status).toBe(201);
    const [refused, served] = sandbox.writes;
    expect(sandbox.messages.size).toBe(1);
    expect((served?.receivedAtMs ?? 0) - (refused?.receivedAtMs ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it('holds every other write, too', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    const first = create({ businessId: 1, content: 'first' });
    const refused = await sandbox.waitForCall((call) => call.throttled && call.status !== undefined);
    // The answer is on its way back to the service: what comes in after it must wait.
    const others = [1, 2, 3].map((n) => create({ businessId: 1, content: `other ${n}` }));
    const answers = await Promise.all([first, ...others]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    const early = sandbox.writes.filter(
      ({ receivedAtMs, seq }) => seq > refused.seq && receivedAtMs - refused.receivedAtMs < 900,
    );
    expect(early.length).toBeLessThan(4);
  });

  it('that cannot wait so long is refused at once, with the time when it can be', async () => {
    const { create, sandbox } = await startService();
    sandbox.next({ kind: 'throttle', retryAfter: '120' });
    const answer = await create(MESSAGE);
    expect(answer.status).toBe(429);
    expect(answer.json).toMatchObject({
      type: '/problems/quota-exhausted',
      outcome: 'not-sent',
      retryable: true,
    });
    expect(Number(answer.headers.get('retry-after'))).toBe(120);
    expect((await create(MESSAGE)).status).toBe(429);
    expect(sandbox.writes).toHaveLength(1);
  });
});

describe('a caller who hangs up', () => {
  it('before its message was sent takes it along', async () => {
    const { create, url, sandbox, log } = await startService();
    await create(MESSAGE);
    // After a throttle nothing is sent as long as another call is under way.
    sandbox.next({ kind: 'hold' });
    const held = create({ businessId: 1, content: 'under way' });
    await sandbox.waitForCall(() => sandbox.writes.length === 2);
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    const hangUp = new AbortController();
    const answer = fetch(`${url}/v1/chat-messages`, {
      method: 'POST',
      headers: { authorization: 'Bearer key-for-everything', 'content-type': 'application/json' },
      body: JSON.stringify({ businessId: 1, content: 'never mind' }),
      signal: hangUp.signal,
    });
    await until(() => log.some((line) => line['verdict'] === 'throttled'));
    hangUp.abort();
    await expect(answer).rejects.toThrow();
    await until(() => log.some((line) => line['message'] === 'request' && line['aborted'] === true));
    sandbox.release();
    expect((await held).status).toBe(201);
    // What comes after it is served; it is not.
    expect((await create({ businessId: 1, content: 'next' })).status).toBe(201);
    expect([...sandbox.messages.values()].map(({ Content }) => Content)).toEqual(['x', 'under way', 'next']);
  });
});

describe('every call to Nexudus', () => {
  it('asks for an answer as it is, and takes one behind a byte order mark', async () => {
    const { create, replace, sandbox } = await startService();
    sandbox.always({ kind: 'bom' }, { on: 'any' });
    const created = await create(MESSAGE);
    expect(created.status).toBe(201);
    // The record of a caller who is restricted is read first.
    const restricted = { authorization: `Bearer ${KEYS.businessesOneAndTwo}` };
    expect((await replace(Number(created.json['id']), MESSAGE, restricted)).status).toBe(200);
    sandbox.always({ kind: 'empty', status: 401 }, { on: 'create' });
    await create(MESSAGE);
    expect(new Set(sandbox.calls.map(({ method, path }) => `${method} ${path.replace(/\d+$/, '')}`))).toEqual(
      new Set([
        'POST /api/token',
        'POST /api/sys/openaichatmessages',
        'GET /api/sys/openaichatmessages/',
        'PUT /api/sys/openaichatmessages',
        'GET /api/auth/me',
      ]),
    );
    for (const { headers } of sandbox.calls) expect(headers['accept-encoding']).toBe('identity');
  });
});
