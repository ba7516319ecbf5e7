import { request } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { NexudusSandbox, type SandboxOptions } from './nexudus-sandbox.js';
import { totpAt } from './totp.js';

const LOGIN = { grant_type: 'password', username: 'service@example.com', password: 'sandbox-password' };
const GOOD = { BusinessId: 1, Action: 1, Content: 'hello' };
const MESSAGES = '/api/sys/openaichatmessages';

let sandbox: NexudusSandbox;
const start = async (options?: SandboxOptions): Promise<void> => {
  sandbox = await NexudusSandbox.start(options);
};
afterEach(() => sandbox.close());

interface Got {
  status: number;
  headers: Headers;
  text: string;
  body: Record<string, unknown>;
}

async function call(method: string, path: string, init: RequestInit = {}): Promise<Got> {
  const answer = await fetch(sandbox.url + path, { method, redirect: 'manual', ...init });
  const text = await answer.text();
  const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
  return { status: answer.status, headers: answer.headers, text, body };
}

const token = (form: Record<string, string>, clientId?: string): Promise<Got> =>
  call('POST', '/api/token', {
    body: new URLSearchParams(form),
    ...(clientId === undefined ? {} : { headers: { client_id: clientId } }),
  });
const login = async (clientId = 'spec'): Promise<string> =>
  String((await token(LOGIN, clientId)).body['access_token']);
const api = (method: string, path: string, bearer: string, json?: unknown): Promise<Got> =>
  call(method, path, {
    headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
const me = async (bearer: unknown): Promise<number> =>
  (await api('GET', '/api/auth/me', String(bearer))).status;
const refresh = (from: Got, clientId?: string): Promise<Got> =>
  token({ grant_type: 'refresh_token', refresh_token: String(from.body['refresh_token']) }, clientId);

describe('the token endpoint', () => {
  it('takes forms only', async () => {
    await start();
    const json = await call('POST', '/api/token', {
      body: JSON.stringify(LOGIN),
      headers: { 'Content-Type': 'application/json' },
    });
    expect([json.status, json.body['error']]).toEqual([400, 'unsupported_grant_type']);
    const odd = await token({ ...LOGIN, grant_type: 'client_credentials' });
    expect([odd.status, odd.body['error']]).toEqual([400, 'unsupported_grant_type']);
  });

  it('issues a pair and takes the refresh token once, with the client_id of the login', async () => {
    await start({ tokenLifetimeSeconds: 20_159 });
    const first = await token(LOGIN, 'pod-1');
    expect(first.body).toMatchObject({ token_type: 'bearer', expires_in: 20_159 });
    for (const wrong of [undefined, 'pod-2']) {
      expect((await refresh(first, wrong)).body['error']).toBe('invalid_grant');
    }
    const second = await refresh(first, 'pod-1');
    expect(second.status).toBe(200);
    expect((await refresh(first, 'pod-1')).body['error']).toBe('invalid_grant');
    expect(await me(first.body['access_token'])).toBe(200);
    expect(await me(second.body['access_token'])).toBe(200);
  });

  it('takes the user name for a client_id that is left out at login', async () => {
    await start();
    expect((await refresh(await token(LOGIN), LOGIN.username)).status).toBe(200);
  });

  it.each([false, true])('replaces the refresh token at a new login; access tokens die: %s', async (dies) => {
    await start({ loginKillsAccessTokens: dies });
    const first = await token(LOGIN, 'pod-1');
    const other = await token(LOGIN, 'pod-2');
    await token(LOGIN, 'pod-1');
    expect((await refresh(first, 'pod-1')).body['error']).toBe('invalid_grant');
    expect(await me(first.body['access_token'])).toBe(dies ? 401 : 200);
    expect(await me(other.body['access_token'])).toBe(200);
    expect((await refresh(other, 'pod-2')).status).toBe(200);
  });

  it('ends tokens at their lifetimes, and when they are revoked', async () => {
    let nowMs = 0;
    await start({ tokenLifetimeSeconds: 10, refreshLifetimeSeconds: 20, now: () => nowMs });
    const pair = await token(LOGIN, 'pod-1');
    nowMs = 9_999;
    expect(await me(pair.body['access_token'])).toBe(200);
    nowMs = 10_000;
    expect(await me(pair.body['access_token'])).toBe(401);
    nowMs = 20_000;
    expect((await refresh(pair, 'pod-1')).body['error']).toBe('invalid_grant');

    const fresh = await token(LOGIN, 'pod-1');
    sandbox.revokeAccessTokens();
    sandbox.revokeRefreshTokens('somebody-else');
    expect(await me(fresh.body['access_token'])).toBe(401);
    expect((await refresh(fresh, 'pod-1')).status).toBe(200);
    sandbox.revokeRefreshTokens();
  });

  it('wants a code of this step or a neighbour when two-factor is on', async () => {
    // RFC 6238 appendix B: the secret is the ASCII text 12345678901234567890.
    const totpSecret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
    expect(totpAt(totpSecret, 59_000)).toBe('287082');
    let nowMs = 59_000;
    await start({ accounts: [{ ...LOGIN, totpSecret }], now: () => nowMs });
    expect((await token(LOGIN)).body['error']).toBe('two_factor_auth_check');
    for (const [timeMs, status] of [
      [0, 200],
      [59_000, 200],
      [89_999, 200],
      [90_000, 400],
    ] as const) {
      nowMs = timeMs;
      expect((await token({ ...LOGIN, totp: '287082' })).status).toBe(status);
    }
  });

  it('says what a person has to do', async () => {
    await start();
    const error = async (): Promise<unknown> => (await token(LOGIN)).body['error'];
    Object.assign(sandbox.accounts[0] ?? {}, { mustResetPassword: true });
    expect(await error()).toBe('must_reset_password');
    Object.assign(sandbox.accounts[0] ?? {}, { suspended: true });
    expect(await error()).toBe('invalid_grant');
    Object.assign(sandbox.accounts[0] ?? {}, { suspended: false, password: 'changed' });
    expect(await error()).toBe('invalid_grant');
  });
});

describe('the message calls', () => {
  it('answer a missing role like a bad token, while auth/me tells them apart', async () => {
    await start({ accounts: [{ ...LOGIN, roles: ['OpenAiChatMessage-Edit'] }] });
    const bearer = await login();
    const refused = await api('POST', MESSAGES, bearer, GOOD);
    expect([refused.status, refused.text]).toEqual([401, '']);
    expect((await api('POST', MESSAGES, 'nonsense', GOOD)).status).toBe(401);
    expect(await me(bearer)).toBe(200);
    sandbox.seed({ Id: 5, BusinessId: 1 });
    expect((await api('PUT', MESSAGES, bearer, { ...GOOD, Id: 5 })).status).toBe(200);
    expect((await api('GET', `${MESSAGES}/5`, bearer)).status).toBe(401);
  });

  it('create with the documented envelope, and keep content that is cut anywhere on the way', async () => {
    await start();
    const bearer = await login();
    const Content = '👩‍👩‍👧 é\u0000 "ü" \u2028';
    const bytes = Buffer.from(JSON.stringify({ ...GOOD, Content, Nonsense: 1 }));
    const status = await new Promise((resolve, reject) => {
      const headers = { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' };
      const post = request(sandbox.url + MESSAGES, { method: 'POST', headers }, (answer) => {
        answer.resume().on('end', () => {
          resolve(answer.statusCode);
        });
      });
      post.on('error', reject);
      for (const byte of bytes) post.write(Buffer.of(byte));
      post.end();
    });
    expect(status).toBe(200);
    expect(sandbox.messages.get(87_654_321)).toMatchObject({ Content, UpdatedBy: LOGIN.username });
    const next = await api('POST', MESSAGES, bearer, GOOD);
    expect(next.body).toMatchObject({
      Status: 200,
      Value: { Id: 87_654_322 },
      WasSuccessful: true,
      Errors: null,
    });
    sandbox.options.createValue = 'record';
    const whole = await api('POST', MESSAGES, bearer, { ...GOOD, UserId: 7 });
    expect(whole.body['Value']).toMatchObject({ Id: 87_654_323, CoworkerMobilePhone: expect.any(String) });
  });

  it('name every missing field in Errors and the first in Message', async () => {
    await start();
    const bearer = await login();
    const { status, body } = await api('PUT', MESSAGES, bearer, { Content: '  ' });
    const names = (body['Errors'] as { PropertyName: string }[]).map(({ PropertyName }) => PropertyName);
    expect([status, names]).toEqual([400, ['Id', 'BusinessId', 'Action', 'Content']]);
    expect(body).toMatchObject({ Message: 'Id: is a required field', Value: null, WasSuccessful: false });
    expect(body).not.toHaveProperty('Status');
    for (const json of [[], null, 'text']) {
      expect((await api('POST', MESSAGES, bearer, json)).status).toBe(400);
    }
    expect(sandbox.writes.some(({ executed }) => executed)).toBe(false);
  });

  it('replace fully: what is left out is cleared', async () => {
    await start({ now: () => Date.UTC(2025, 0, 15, 10, 30) });
    const old = sandbox.seed({ BusinessId: 1, UserId: 7, CoworkerMessageId: 8, SystemId: 'x' });
    expect((await api('PUT', MESSAGES, await login(), { ...GOOD, Id: old.Id })).status).toBe(200);
    expect(sandbox.messages.get(old.Id)).toEqual({
      ...old,
      ...GOOD,
      UserId: null,
      CoworkerMessageId: null,
      SystemId: null,
      UpdatedOn: '2025-01-15T10:30:00Z',
      UpdatedBy: LOGIN.username,
    });
  });

  it.each([
    ['404-string', 404, '"Not found"'],
    ['400-errors', 400, 'Errors":[{"AttemptedValue":5,"Message":"was not found","PropertyName":"Id"}]'],
    ['200-unsuccessful', 200, '"WasSuccessful":false'],
  ] as const)('answer an unknown Id with %s', async (unknownIdAnswer, status, text) => {
    await start({ unknownIdAnswer });
    const answer = await api('PUT', MESSAGES, await login(), { ...GOOD, Id: 5 });
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(text)]);
  });

  it('read, list by filters and pages, and delete', async () => {
    await start();
    const bearer = await login();
    sandbox.seed({ Id: 1, BusinessId: 1, CreatedOn: '2025-01-15T10:29:59Z', SystemId: 'a' });
    sandbox.seed({ Id: 2, BusinessId: 1, UserId: 7, CreatedOn: '2025-01-15T10:30:00Z', Content: 'Ten' });
    sandbox.seed({ Id: 3, BusinessId: 2, AiChannelSessionId: 9, CreatedOn: '2025-01-15T10:31:00Z' });
    const list = async (query: string): Promise<Record<string, unknown>> =>
      (await api('GET', `${MESSAGES}?${query}`, bearer)).body;
    const ids = async (query: string): Promise<unknown> =>
      ((await list(query))['Records'] as { Id: number }[]).map(({ Id }) => Id);
    const name = 'OpenAiChatMessage';
    expect(await ids(`${name}_Business=1`)).toEqual([1, 2]);
    expect(await ids(`${name}_User=7`)).toEqual([2]);
    expect(await ids(`${name}_AiChannelSession=9`)).toEqual([3]);
    expect(await ids(`${name}_SystemId=a`)).toEqual([1]);
    expect(await ids(`${name}_Content=Ten`)).toEqual([2]);
    expect(await ids(`from_${name}_CreatedOn=2025-01-15T10:30&dir=1`)).toEqual([3, 2]);
    sandbox.options.dirOneMeans = 'ascending';
    expect(await ids(`to_${name}_CreatedOn=2025-01-15T10:30&dir=1`)).toEqual([1, 2]);
    const page = { CurrentPage: 1, TotalItems: 3, HasNextPage: true };
    expect(await list('size=2')).toMatchObject(page);
    expect(await list('size=2&page=2')).toMatchObject({ ...page, CurrentPage: 2, HasNextPage: false });
    expect((await api('GET', `${MESSAGES}/2`, bearer)).body).toMatchObject({ Id: 2, Content: 'Ten' });
    expect((await api('DELETE', `${MESSAGES}/2`, bearer)).body).toMatchObject({ WasSuccessful: true });
    expect(await api('GET', `${MESSAGES}/2`, bearer)).toMatchObject({ status: 404, text: '"Not found"' });
  });
});
