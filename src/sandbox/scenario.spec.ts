import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NexudusSandbox, type Scenario } from './nexudus-sandbox.js';
import { scenarioCatalogue } from './scenario-catalogue.js';

const GOOD = { BusinessId: 1, Action: 1, Content: 'hello' };

let sandbox: NexudusSandbox;
let bearer: string;
beforeEach(async () => {
  sandbox = await NexudusSandbox.start();
  bearer = String(((await (await login()).json()) as Record<string, unknown>)['access_token']);
});
afterEach(() => sandbox.close());

const login = (): Promise<Response> =>
  fetch(`${sandbox.url}/api/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'password',
      username: 'service@example.com',
      password: 'sandbox-password',
    }),
  });

/** Creates a message; 'none' when there was no whole answer. */
async function create(
  Content = 'hello',
): Promise<{ status: number | 'none'; text: string; headers?: Headers }> {
  try {
    const answer = await fetch(`${sandbox.url}/api/sys/openaichatmessages`, {
      method: 'POST',
      redirect: 'manual',
      headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...GOOD, Content }),
    });
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  } catch {
    return { status: 'none', text: '' };
  }
}

async function control(
  method: string,
  path: string,
  json?: unknown,
): Promise<{ status: number; body: unknown }> {
  const init = json === undefined ? { method } : { method, body: JSON.stringify(json) };
  const answer = await fetch(`${sandbox.url}/sandbox${path}`, init);
  return { status: answer.status, body: await answer.json() };
}

type Row = [scenario: Scenario, status: number | 'none', executed: boolean, text: string | RegExp];

const ROWS: Row[] = [
  [{ kind: 'throttle' }, 409, false, ''],
  [{ kind: 'throttle', status: 429, retryAfter: null }, 429, false, ''],
  [{ kind: 'reject' }, 400, false, /"PropertyName":"Content".*"WasSuccessful":false/],
  [{ kind: 'reject', errors: null, innerStatus: 500 }, 400, false, /"Status":500.*"Errors":null/],
  [{ kind: 'reject-in-200', errors: [{ PropertyName: 'UserId', Message: 'no' }] }, 200, false, /UserId: no/],
  [{ kind: 'inner-status' }, 200, false, /"Status":500.*"Value":\{"Id":1\}.*"WasSuccessful":true/],
  [{ kind: 'inner-status', status: 404, executed: true }, 200, true, /"Status":404.*"Id":87654321/],
  [{ kind: 'lost' }, 'none', true, ''],
  [{ kind: 'lost', reset: true }, 'none', true, ''],
  [{ kind: 'dropped' }, 'none', false, ''],
  [{ kind: 'truncated' }, 'none', true, ''],
  [{ kind: 'slow', ms: 1 }, 200, true, /successfully created/],
  [{ kind: 'html' }, 502, false, /<title>502 Bad Gateway/],
  [{ kind: 'html', status: 504, executed: true }, 504, true, /504 Gateway Time-out/],
  [{ kind: 'error-500' }, 500, false, '{"Message":"An error has occurred."}'],
  [{ kind: 'error-500', executed: true }, 500, true, /error/],
  [{ kind: 'empty', status: 200 }, 200, true, ''],
  [{ kind: 'empty', status: 401 }, 401, false, ''],
  [{ kind: 'not-json' }, 200, true, 'The message was saved.'],
  [{ kind: 'json', status: 200, body: null, executed: true }, 200, true, 'null'],
  [{ kind: 'json', status: 201, body: [1] }, 201, false, '[1]'],
  [{ kind: 'too-large', bytes: 300_000 }, 200, true, /^\{"Message":"x{300000}","Status":200,.*true\}$/],
  [{ kind: 'redirect', location: '/elsewhere' }, 302, false, ''],
  [{ kind: 'edge-403' }, 403, false, /blocked/],
  [{ kind: 'forbidden' }, 403, false, 'Forbidden'],
  [{ kind: 'success-without-id' }, 200, true, /"Value":null.*"WasSuccessful":true/],
  [{ kind: 'bom' }, 200, true, /successfully created/],
  [{ kind: 'altered', change: { Message: 1 }, remove: ['Status'] }, 200, true, /^\{"Message":1,"Value"/],
  [{ kind: 'token-error', error: 'invalid_grant', status: 401 }, 401, false, '{"error":"invalid_grant"}'],
  [{ kind: 'close-after-answer' }, 200, true, /successfully created/],
  [{ kind: 'garbage' }, 'none', true, ''],
];

describe('a scenario', () => {
  it.each(ROWS)('%j answers %s, executed: %s', async (scenario, status, executed, text) => {
    sandbox.next(scenario);
    const answer = await create();
    expect(answer.status).toBe(status);
    if (typeof text === 'string') expect(answer.text).toBe(text);
    else expect(answer.text).toMatch(text);
    const call = await sandbox.waitForCall(
      (one) => one.path.endsWith('messages') && one.status !== undefined,
    );
    expect(call).toMatchObject({ status, executed, throttled: scenario.kind === 'throttle' });
    expect(sandbox.messages.size).toBe(executed ? 1 : 0);
    expect((await create()).status).toBe(200);
  });

  it.each([
    ['hang', 1],
    ['stalled', 1],
    ['hold', 0],
  ] as const)('%s answers at release() only, and has run before: %s', async (kind, ranBefore) => {
    sandbox.next({ kind });
    const answer = create();
    const call = await sandbox.waitForCall(({ method, path }) => method === 'POST' && path !== '/api/token');
    expect([call.status, sandbox.messages.size]).toEqual([undefined, ranBefore]);
    sandbox.release();
    expect((await answer).status).toBe(200);
    expect(sandbox.messages.size).toBe(1);
  });

  it('ends the connection that it said it would keep', async () => {
    sandbox.next({ kind: 'close-after-answer' });
    expect((await create()).headers?.get('connection')).toBe('keep-alive');
    await create();
    const [first, second] = sandbox.writes;
    expect(first?.connection).not.toBe(second?.connection);
  });

  it('is for the calls it names, in order, as often as it says', async () => {
    sandbox.next({ kind: 'forbidden' }, { times: 2, on: 'create' });
    sandbox.next({ kind: 'token-error', error: 'invalid_grant' }, { on: 'token' });
    sandbox.next({ kind: 'error-500' }, { on: 'any' });
    sandbox.always({ kind: 'edge-403' });
    const seen: unknown[] = [];
    for (let count = 0; count < 5; count += 1) seen.push((await create()).status);
    expect(seen).toEqual([403, 403, 500, 403, 403]);
    expect((await login()).status).toBe(400);
    sandbox.clearScenarios();
    expect((await create()).status).toBe(200);
    expect(sandbox.tokenCalls.length).toBe(2);
  });

  it('does not run what the true checks refuse', async () => {
    sandbox.revokeAccessTokens();
    sandbox.next({ kind: 'slow', ms: 1 });
    expect((await create()).status).toBe(401);
  });
});

describe('a magic word', () => {
  it('plays its scenario every time', async () => {
    expect((await create('please sandbox:html=503 now')).status).toBe(503);
    expect((await create('please sandbox:html=503 now')).status).toBe(503);
    expect((await create('sandbox:lost')).status).toBe('none');
    expect((await create('sandbox:nothing-known')).status).toBe(200);
  });

  it('throttles one call of two', async () => {
    const answers = [await create('sandbox:throttle=2'), await create('sandbox:throttle=2')];
    expect(answers.map(({ status }) => status)).toEqual([409, 200]);
    expect(answers[0]?.headers?.get('retry-after')).toBe('2');
    expect((await create('sandbox:throttle=2')).status).toBe(409);
  });
});

describe('the control pages', () => {
  it('tell what can be played, and are no calls themselves', async () => {
    const { body } = await control('GET', '');
    expect(Object.keys((body as { scenarios: object }).scenarios)).toEqual(Object.keys(scenarioCatalogue));
    expect(sandbox.calls.length).toBe(1);
    sandbox.clearCalls();
    expect(sandbox.calls).toEqual([]);
  });

  it('show calls and messages without secrets', async () => {
    await create();
    const { body } = await control('GET', '/calls');
    const text = JSON.stringify(body);
    expect(text).toContain('"grant_type":"password"');
    for (const secret of ['sandbox-password', bearer]) expect(text).not.toContain(secret);
    expect((await control('GET', '/messages')).body).toMatchObject([{ Id: 87_654_321, Content: 'hello' }]);
  });

  it('queue, clear and revoke', async () => {
    expect((await control('POST', '/scenarios', { scenario: { kind: 'forbidden' } })).status).toBe(201);
    expect((await create()).status).toBe(403);
    await control('POST', '/scenarios', { scenario: { kind: 'slow', ms: 1 }, times: 'always', on: 'any' });
    expect((await create()).status).toBe(200);
    await control('DELETE', '/scenarios');
    await control('POST', '/revoke', {});
    expect((await create()).status).toBe(401);
    for (const bad of [{}, { scenario: { kind: 'slow' } }, { scenario: { kind: 'lost' }, times: 0 }, []]) {
      expect((await control('POST', '/scenarios', bad)).status).toBe(400);
    }
    expect((await control('POST', '/release')).status).toBe(200);
    expect((await control('GET', '/nothing')).status).toBe(404);
  });
});
