import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { startSandbox, startService } from './support/service.js';

const MESSAGE = { businessId: 1, content: 'x' };
const TOTP_SECRET = 'JBSWY3DPEHPK3PXP';

afterEach(() => {
  jest.restoreAllMocks();
});

describe('the access token', () => {
  it('is asked for once, in the background, however many callers wait for it', async () => {
    const { create, sandbox } = await startService();
    const answers = await Promise.all(Array.from({ length: 50 }, () => create(MESSAGE)));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(201));
    expect(sandbox.tokenCalls).toHaveLength(1);
    const { headers, body } = sandbox.tokenCalls[0] ?? {};
    expect(headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      client_id: 'test-host',
    });
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      grant_type: 'password',
      username: 'service@example.com',
      password: 'sandbox-password',
    });
  });

  it('that Nexudus no longer takes is refreshed once for all who met the 401, and every message is created once', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    const answers = await Promise.all(Array.from({ length: 20 }, () => create(MESSAGE)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
    expect(sandbox.messages.size).toBe(21);
    expect(sandbox.tokenCalls).toHaveLength(1);
    expect(sandbox.tokenCalls[0]?.headers['client_id']).toBe('test-host');
    expect(sandbox.tokenCalls[0]?.body).toMatch(/^grant_type=refresh_token&/);
  });

  it('is asked for by password again where the refresh token is dead', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.revokeRefreshTokens();
    sandbox.clearCalls();
    expect((await create(MESSAGE)).status).toBe(201);
    expect(sandbox.tokenCalls.map(({ body }) => new URLSearchParams(body).get('grant_type'))).toEqual([
      'refresh_token',
      'password',
    ]);
  });

  it.each([
    ['an empty 401', { kind: 'empty', status: 401 }],
    ['an empty 400', { kind: 'empty', status: 400 }],
  ] as const)('is asked for by password where the refresh is refused without a reason: %s', async (_, no) => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    sandbox.next(no, { on: 'token' });
    expect((await create(MESSAGE)).status).toBe(201);
    expect(sandbox.tokenCalls.map(({ body }) => new URLSearchParams(body).get('grant_type'))).toEqual([
      'refresh_token',
      'password',
    ]);
  });

  it('is renewed in the background before it ends', async () => {
    const sandbox = await startSandbox({ tokenLifetimeSeconds: 10 });
    sandbox.next({ kind: 'hold' }, { on: 'token' });
    const { create } = await startService({ sandbox });
    await sandbox.waitForCall(() => sandbox.tokenCalls.length === 1);
    // As early as it may be: three seconds before the end, which is more than a machine that stalls takes.
    jest.spyOn(Math, 'random').mockReturnValue(0);
    sandbox.release();
    await create(MESSAGE);
    const refresh = await sandbox.waitForCall(
      ({ body, status }) => body.startsWith('grant_type=refresh_token') && status === 200,
    );
    expect(refresh.receivedAtMs - (sandbox.tokenCalls[0]?.receivedAtMs ?? 0)).toBeLessThan(10_000);
    expect((await create(MESSAGE)).status).toBe(201);
    expect(sandbox.writes.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('comes with a two-factor code where the credentials hold the secret', async () => {
    const account = {
      username: 'service@example.com',
      password: 'sandbox-password',
      totpSecret: TOTP_SECRET,
      roles: 'all' as const,
    };
    const { create } = await startService({
      env: { NEXUDUS_TOTP_SECRET: TOTP_SECRET },
      sandbox: { accounts: [account] },
    });
    expect((await create(MESSAGE)).status).toBe(201);
  });
});

describe('an account that Nexudus refuses', () => {
  it.each([
    ['a wrong password', { password: 'another' }, {}],
    ['a suspended account', { suspended: true }, {}],
    ['a forced reset', { mustResetPassword: true }, {}],
    ['two-factor without a secret', { totpSecret: TOTP_SECRET }, {}],
    [
      'two-factor with a wrong secret',
      { totpSecret: TOTP_SECRET },
      { NEXUDUS_TOTP_SECRET: 'GEZDGNBVGY3TQOJQ' },
    ],
  ])('is tried once, and a hundred callers are told at once: %s', async (_, account, env) => {
    const accounts = [
      { username: 'service@example.com', password: 'sandbox-password', roles: 'all' as const, ...account },
    ];
    const { create, sandbox, log } = await startService({ env, sandbox: { accounts } });
    const answers = await Promise.all(Array.from({ length: 100 }, () => create(MESSAGE)));
    for (const answer of answers) {
      expect(answer.status).toBe(503);
      expect(answer.json).toMatchObject({
        type: '/problems/upstream-access-denied',
        outcome: 'not-sent',
        retryable: true,
      });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(290);
    }
    expect(sandbox.tokenCalls.length).toBeLessThanOrEqual(1);
    expect(sandbox.writes).toHaveLength(0);
    expect(JSON.stringify(log)).not.toContain('sandbox-password');
    expect(log.filter(({ level }) => (level as number) >= 50)).toHaveLength(1);
  });

  it.each([
    ['an empty 401', { kind: 'empty', status: 401 }],
    ['a 401 of HTML', { kind: 'html', status: 401 }],
    ['an empty 400', { kind: 'empty', status: 400 }],
    ['an error by another name', { kind: 'json', status: 400, body: { Error: 'invalid_grant' } }],
  ] as const)('by %s is remembered as one that is told why', async (_, scenario) => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    sandbox.always(scenario, { on: 'token' });
    for (let n = 0; n < 3; n += 1) {
      const answer = await create(MESSAGE);
      expect(answer.json).toMatchObject({ type: '/problems/upstream-access-denied', outcome: 'not-sent' });
      expect(answer.json['detail']).toContain('refuses the credentials');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(60);
    }
    expect(sandbox.tokenCalls.map(({ body }) => new URLSearchParams(body).get('grant_type'))).toEqual([
      'refresh_token',
      'password',
    ]);
  });

  it('says no more than it knows, and no later than the caller waits, where nobody says why', async () => {
    const accounts = [{ username: 'service@example.com', password: 'sandbox-password', roles: [] }];
    const { create, sandbox } = await startService({ sandbox: { accounts } });
    sandbox.always({ kind: 'hang' }, { on: 'me' });
    const answer = await create(MESSAGE, { prefer: 'wait=5' });
    expect(sandbox.calls.filter(({ path }) => path === '/api/auth/me')).toMatchObject([
      { status: undefined },
    ]);
    expect(answer.json).toMatchObject({ type: '/problems/upstream-access-denied', outcome: 'not-sent' });
    expect(answer.json['detail']).toContain('why is not known yet');
    sandbox.release();
  });

  it('by a missing role is told apart from a bad token, in the problem and in the log', async () => {
    const accounts = [
      {
        username: 'service@example.com',
        password: 'sandbox-password',
        roles: ['OpenAiChatMessage-Edit' as const],
      },
    ];
    const { create, replace, sandbox, log } = await startService({ sandbox: { accounts } });
    expect((await create(MESSAGE)).json['detail']).toContain('lacks the role');
    expect(log.filter(({ role }) => role === 'OpenAiChatMessage-Create')).toMatchObject([
      { reason: 'missing-role' },
    ]);
    // What it may do, it still does.
    const { Id } = sandbox.seed({ BusinessId: 1 });
    expect((await replace(Id, MESSAGE)).status).toBe(200);
  });

  it('by a missing role costs one renewal, and no more for a minute', async () => {
    const accounts = [{ username: 'service@example.com', password: 'sandbox-password', roles: [] }];
    const { create, sandbox } = await startService({ sandbox: { accounts } });
    for (let n = 0; n < 3; n += 1) {
      const answer = await create(MESSAGE);
      expect(answer.json).toMatchObject({ type: '/problems/upstream-access-denied', outcome: 'not-sent' });
    }
    expect(sandbox.tokenCalls).toHaveLength(2);
  });
});

describe('a token endpoint that is out of order', () => {
  it.each([
    [{ kind: 'html', status: 503 }],
    [{ kind: 'error-500' }],
    [{ kind: 'not-json' }],
    [{ kind: 'json', status: 200, body: { access_token: 'a' } }],
    [{ kind: 'throttle', retryAfter: '1' }],
    [{ kind: 'lost' }],
  ] as const)('is not taken for a wrong password, and is asked again: %j', async (scenario) => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.next(scenario, { on: 'token' });
    expect((await create(MESSAGE)).status).toBe(201);
  });

  it('for long makes callers hear so at once, with a time, and is asked ever more seldom', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.always({ kind: 'html', status: 502 }, { on: 'token' });
    // The longest pauses between its calls, so that more than one of them are nobody's but a caller's.
    jest.spyOn(Math, 'random').mockReturnValue(0.999);
    const answer = await create(MESSAGE);
    expect(answer.status).toBe(503);
    expect(answer.json).toMatchObject({
      type: '/problems/upstream-unavailable',
      outcome: 'not-sent',
      retryable: true,
    });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    const asked = sandbox.tokenCalls.length;
    await Promise.all(Array.from({ length: 20 }, () => create(MESSAGE)));
    expect(sandbox.tokenCalls.length).toBeLessThanOrEqual(asked + 1);
    sandbox.clearScenarios();
    await sandbox.waitForCall(
      ({ path, status, seq }) => path === '/api/token' && status === 200 && seq > asked,
    );
    expect((await create(MESSAGE)).status).toBe(201);
  });
});

describe('a token endpoint behind a firewall that lets nothing through', () => {
  it('is for an operator to see to, and is asked again: no verdict on the credentials', async () => {
    const { create, manage, sandbox, log } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.always({ kind: 'edge-403' }, { on: 'token' });
    const answer = await create(MESSAGE);
    expect(answer.status).toBe(503);
    expect(answer.json).toMatchObject({
      type: '/problems/upstream-access-denied',
      detail: expect.stringMatching(/operator must act.*blocks the calls/),
      outcome: 'not-sent',
      retryable: true,
    });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(answer.headers.get('retry-after'))).toBeLessThan(61);
    expect(log.filter(({ level }) => (level as number) >= 50).map(({ reason }) => reason)).toContain(
      'token-blocked',
    );
    const metrics = (await manage('/metrics')).text;
    expect(metrics).toMatch(/^nexudus_token_failures_total\{reason="token-blocked"\} [1-9]/m);
    expect(metrics).toMatch(/^nexudus_token_requests_total\{grant="refresh_token",result="blocked"\} [1-9]/m);
    expect(metrics).not.toMatch(/^nexudus_credentials_rejected\{/m);
    expect((await manage('/info')).json).toMatchObject({
      token: { lastRenewal: { result: 'token-blocked' } },
      credentials: { rejected: null },
    });
    sandbox.clearScenarios();
    const asked = sandbox.calls.length;
    await sandbox.waitForCall(
      ({ path, status, seq }) => path === '/api/token' && status === 200 && seq > asked,
    );
    expect((await create(MESSAGE)).status).toBe(201);
  });

  it('for a moment is waited for', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.next({ kind: 'forbidden' }, { on: 'token' });
    expect((await create(MESSAGE)).status).toBe(201);
  });

  it('is named to a caller whose wait is over while it is asked again, too', async () => {
    const { create, sandbox } = await startService();
    await create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.next({ kind: 'edge-403' }, { on: 'token' });
    sandbox.next({ kind: 'hold' }, { on: 'token' });
    const answer = await create(MESSAGE, { prefer: 'wait=5' });
    expect(answer.json).toMatchObject({ type: '/problems/upstream-access-denied', outcome: 'not-sent' });
    sandbox.release();
  });
});
