import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { KEYS, rawCreate, startService, type Answer } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'x' };
const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status);

describe('the quota', () => {
  it.each(['sliding', 'fixed'] as const)(
    "is spent without one throttled answer, whatever the shape of the upstream's windows: %s",
    async (windowShape) => {
      const { create, sandbox } = await startService({
        env: { NEXUDUS_WRITE_LIMITS: '5/3s' },
        sandbox: { writeLimits: '5/3s', windowShape, windowOffsetMs: 317 },
      });
      const answers = await Promise.all(Array.from({ length: 15 }, () => create(MESSAGE)));
      expect(statuses(answers)).toEqual(Array(15).fill(201));
      expect(sandbox.calls.filter(({ throttled }) => throttled)).toEqual([]);
      const [first, last] = [sandbox.writes[0], sandbox.writes.at(-1)];
      // Three windows full: two periods, and not a third, which is long enough for a machine that stalls. How little of
      // a window is wasted is asked in the simulation of the pacer, whose clock does not depend on the machine.
      expect((last?.receivedAtMs ?? 0) - (first?.receivedAtMs ?? 0)).toBeLessThan(9_000);
    },
  );

  it('lets a burst through at once while there is room', async () => {
    const { create, sandbox } = await startService({ env: { NEXUDUS_WRITE_LIMITS: '10/1m' } });
    sandbox.next({ kind: 'hold' }, { times: 10 });
    const burst = Array.from({ length: 10 }, () => create(MESSAGE));
    // None is answered before all are there, and spread over the minute they would not be there in time.
    await sandbox.waitForCall(() => sandbox.writes.length === 10);
    sandbox.release();
    expect(statuses(await Promise.all(burst))).toEqual(Array(10).fill(201));
  });

  it('counts every call: logins and renewals, too', async () => {
    const { create, sandbox } = await startService({
      env: { NEXUDUS_CALL_LIMITS: '2/1s' },
      sandbox: { callLimits: '2/1s' },
    });
    expect(statuses(await Promise.all([1, 2, 3, 4].map(() => create(MESSAGE))))).toEqual(Array(4).fill(201));
    expect(sandbox.calls.filter(({ throttled }) => throttled)).toEqual([]);
  });

  it('that is spent is said at once, with the true time of the next slot', async () => {
    const { create, sandbox, manage } = await startService({ env: { NEXUDUS_WRITE_LIMITS: '2/10s' } });
    await Promise.all([create(MESSAGE), create(MESSAGE)]);
    const refused = await create(MESSAGE, { prefer: 'wait=1' });
    expect(refused.status).toBe(429);
    // At once, and not when its wait was over.
    expect((await manage('/metrics')).text).toContain('nexudus_quota_refused_total{reason="too-late"} 1');
    expect(refused.json).toMatchObject({
      type: '/problems/quota-exhausted',
      outcome: 'not-sent',
      retryable: true,
    });
    const retryAfter = Number(refused.headers.get('retry-after'));
    // A period after the first two, less what has passed since they were sent.
    const passedMs = Date.now() - (sandbox.writes[0]?.receivedAtMs ?? 0);
    expect(retryAfter * 1000).toBeGreaterThanOrEqual(10_000 - passedMs);
    expect(retryAfter).toBeLessThanOrEqual(11);
    expect(sandbox.writes).toHaveLength(2);
    // A caller with the patience for it is served.
    expect((await create(MESSAGE)).status).toBe(201);
  });

  it('is on every answer of the API, as RateLimit and RateLimit-Policy', async () => {
    const { create, call, sandbox } = await startService({
      env: { NEXUDUS_WRITE_LIMITS: '60/1m,2500/1d' },
    });
    const answer = await create(MESSAGE);
    expect(answer.headers.get('ratelimit-policy')).toBe('"1m";q=60;w=60, "1d";q=2500;w=86400');
    const [, seconds] =
      /^"1m";r=59;t=(\d+), "1d";r=2499;t=\d+$/.exec(answer.headers.get('ratelimit') ?? '') ?? [];
    expect(Number(seconds)).toBeLessThanOrEqual(61);
    const passedMs = Date.now() - (sandbox.writes[0]?.receivedAtMs ?? 0);
    expect(Number(seconds) * 1000).toBeGreaterThanOrEqual(60_000 - passedMs);
    const problem = await call('POST', '/v1/chat-messages');
    expect(problem.headers.get('ratelimit')).toMatch(/^"1m";r=59;/);
  });

  it('is shared in turns: a caller who floods waits behind itself', async () => {
    const { create, sandbox, untilWaiting } = await startService({
      env: { NEXUDUS_WRITE_LIMITS: '2/400ms' },
    });
    // Those under way take up the quota until all are in the line.
    sandbox.next({ kind: 'hold' }, { times: 2 });
    const flood = Array.from({ length: 6 }, (_, n) => create({ businessId: 1, content: `flood ${n}` }));
    await untilWaiting(4);
    const modest = create(
      { businessId: 1, content: 'modest' },
      { authorization: `Bearer ${KEYS.businessesOneAndTwo}` },
    );
    await untilWaiting(5);
    sandbox.release();
    expect((await modest).status).toBe(201);
    const order = sandbox.writes.map(({ json }) => (json as { Content: string }).Content);
    expect(order.indexOf('modest')).toBeGreaterThanOrEqual(2);
    expect(order.indexOf('modest')).toBeLessThanOrEqual(3);
    expect(statuses(await Promise.all(flood))).toEqual(Array(6).fill(201));
  });

  it('keeps the order within a session, each message after the end of the former', async () => {
    const { app, sandbox } = await startService();
    const contents = Array.from({ length: 6 }, (_, n) => `message ${n}`);
    sandbox.next({ kind: 'slow', ms: 100 });
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    // On one connection, so that their order of arrival is certain.
    const socket = connect(app.apiPort, '127.0.0.1');
    socket.write(
      contents.map((content) => rawCreate(JSON.stringify({ businessId: 1, sessionId: 7, content }))).join(''),
    );
    await until(() => sandbox.messages.size === contents.length);
    socket.destroy();
    expect([...sandbox.messages.values()].map(({ Content }) => Content)).toEqual(contents);
  });

  it('gives back the slot of a caller who hangs up while it waits', async () => {
    const { create, url, sandbox, log, untilWaiting } = await startService({
      env: { NEXUDUS_WRITE_LIMITS: '1/1s' },
    });
    // The only slot is taken until all has happened.
    sandbox.next({ kind: 'hold' });
    const first = create(MESSAGE);
    await sandbox.waitForCall(() => sandbox.writes.length === 1);
    const hangUp = new AbortController();
    const abandoned = fetch(`${url}/v1/chat-messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json' },
      body: JSON.stringify({ businessId: 1, content: 'abandoned' }),
      signal: hangUp.signal,
    });
    await untilWaiting(1);
    const next = create({ businessId: 1, content: 'next' });
    await untilWaiting(2);
    hangUp.abort();
    await expect(abandoned).rejects.toThrow();
    await untilWaiting(1);
    sandbox.release();
    expect(statuses(await Promise.all([first, next]))).toEqual([201, 201]);
    expect([...sandbox.messages.values()].map(({ Content }) => Content)).toEqual(['x', 'next']);
    expect(log.filter(({ outcome, aborted }) => outcome === 'not-sent' && aborted === true)).toHaveLength(1);
  });
});

describe('a caller who hangs up while the service waits for a token', () => {
  it('leaves nothing behind', async () => {
    const { create, url, sandbox, app, log } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.next({ kind: 'hang' }, { on: 'token' });
    const hangUp = new AbortController();
    const abandoned = fetch(`${url}/v1/chat-messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json' },
      body: JSON.stringify({ businessId: 1, sessionId: 5, content: 'abandoned' }),
      signal: hangUp.signal,
    });
    await sandbox.waitForCall(({ body }) => body.includes('refresh_token='));
    hangUp.abort();
    await expect(abandoned).rejects.toThrow();
    await until(() => log.some(({ aborted }) => aborted === true));
    const text = await (await fetch(`http://127.0.0.1:${app.managementPort}/metrics`)).text();
    expect(text).toContain('nexudus_quota_waiting 0');
    sandbox.release();
    expect((await create({ businessId: 1, sessionId: 5, content: 'next' })).status).toBe(201);
    expect([...sandbox.messages.values()].map(({ Content }) => Content)).toEqual(['x', 'next']);
  });
});

describe('an account that others use, too', () => {
  it('is noticed by a throttle although our count has room, and less of the quota is taken for ours', async () => {
    const { create, sandbox, app } = await startService({ env: { NEXUDUS_WRITE_LIMITS: '60/1m' } });
    await create(MESSAGE);
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    expect((await create(MESSAGE)).status).toBe(201);
    const text = await (await fetch(`http://127.0.0.1:${app.managementPort}/metrics`)).text();
    const [, assumed] = /nexudus_quota_assumed_limit\{kind="write",window="1m"\} (\d+)/.exec(text) ?? [];
    expect(Number(assumed)).toBeLessThan(60);
    expect(text).toContain('nexudus_quota_throttled_total 1');
    expect(text).toContain('nexudus_quota_limit{kind="write",window="1m"} 60');
  });
});

describe('an upstream that is dead', () => {
  it('is left alone after ten failures, callers hear so at once, and a read finds out when it lives again', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.always({ kind: 'error-500' });
    // Else it would be found to live while this test still looks at how it is left alone.
    sandbox.always({ kind: 'hang' }, { on: 'me' });
    const unknown = await Promise.all(Array.from({ length: 10 }, () => create(MESSAGE)));
    expect(statuses(unknown)).toEqual(Array(10).fill(502));
    const writes = sandbox.writes.length;
    const refused = await create(MESSAGE);
    expect(refused.status).toBe(503);
    expect(refused.json).toMatchObject({
      type: '/problems/upstream-unavailable',
      outcome: 'not-sent',
      retryable: true,
    });
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(5);
    sandbox.clearScenarios();
    sandbox.release();
    await sandbox.waitForCall(({ path, status }) => path === '/api/auth/me' && status === 200);
    expect(sandbox.writes).toHaveLength(writes);
    let answer = await create(MESSAGE);
    while (answer.status === 503) answer = await create(MESSAGE);
    expect(answer.status).toBe(201);
  });
});

describe('a token that lives six seconds', () => {
  it('never lets a write under load run into a 401, for twenty seconds', async () => {
    const { create, sandbox } = await startService({ sandbox: { tokenLifetimeSeconds: 6 } });
    const endMs = Date.now() + 20_000;
    while (Date.now() < endMs) {
      const answers = await Promise.all(Array.from({ length: 5 }, () => create(MESSAGE)));
      expect(statuses(answers)).toEqual(Array(5).fill(201));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(sandbox.calls.filter(({ status }) => status === 401)).toEqual([]);
    expect(sandbox.tokenCalls.length).toBeGreaterThanOrEqual(4);
    expect(sandbox.tokenCalls.filter(({ body }) => body.startsWith('grant_type=password'))).toHaveLength(1);
  });
});
