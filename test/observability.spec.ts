import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { Metrics } from '../src/observability/metrics.js';
import { rawCreate, startService, type TestService } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'x' };

/** The samples of a metric, by their labels as they stand there. */
async function samples({ manage }: TestService, name: string): Promise<Record<string, number>> {
  const lines = (await manage('/metrics')).text.split('\n');
  const found = lines.flatMap((line) => {
    const [, full, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return full === name ? [[labels, Number(value)] as const] : [];
  });
  return Object.fromEntries(found);
}

const sample = async (service: TestService, name: string, labels = ''): Promise<number | undefined> =>
  (await samples(service, name))[labels];

describe('the management port', () => {
  it('tells how things stand at a glance, on /info and with ?verbose on readiness', async () => {
    const service = await startService({
      env: {
        NEXUDUS_WRITE_LIMITS: '60/1m,2500/1d',
        NEXUDUS_CALL_LIMITS: '120/1m',
        SHUTDOWN_TIMEOUT_MS: '1000',
      },
    });
    const { create, manage, sandbox } = service;
    await create(MESSAGE);
    // Longer than anybody looks: nobody waits for its end.
    sandbox.next({ kind: 'throttle', retryAfter: '15' });
    const waiting = create(MESSAGE);
    await sandbox.waitForCall(({ throttled, status }) => throttled && status !== undefined);
    await until(() => service.log.some(({ verdict }) => verdict === 'throttled'));
    const info = await manage('/info');
    expect(info.status).toBe(200);
    const isoDate = expect.stringMatching(/^\d{4}-.*Z$/) as unknown as string;
    const number = expect.any(Number) as unknown as number;
    expect(info.json).toEqual({
      status: 'ready',
      version: (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version,
      uptimeSeconds: number,
      requests: 1,
      token: {
        isUsable: true,
        ageSeconds: number,
        expiresInSeconds: number,
        lastRenewal: { at: isoDate, result: 'issued' },
      },
      credentials: { generation: 1, rejected: null },
      refusals: [],
      circuit: { state: 'closed', nextProbeInSeconds: null },
      quota: {
        windows: [
          expect.objectContaining({ kind: 'write', window: '1m', limit: 60, used: 2 }),
          expect.objectContaining({ kind: 'write', window: '1d', limit: 2500, used: 2, remaining: number }),
          expect.objectContaining({ kind: 'call', window: '1m', limit: 120, used: 3 }),
        ],
        pausedUntil: isoDate,
        waiting: 1,
        oldestWaitSeconds: number,
      },
    });
    expect(Object.keys((await manage('/health/ready?verbose')).json)).toEqual(Object.keys(info.json));
    await service.app.stop();
    expect((await waiting).json).toMatchObject({ type: '/problems/shutting-down' });
  });

  it('tells what an operator must act on: credentials, roles, a dead upstream', async () => {
    const account = { username: 'service@example.com', password: 'another', roles: 'all' as const };
    const refused = await startService({ sandbox: { accounts: [account] } });
    await refused.create(MESSAGE);
    expect((await refused.manage('/info')).json).toMatchObject({
      token: { isUsable: false, lastRenewal: { result: 'invalid-credentials' } },
      credentials: { generation: 0, rejected: 'invalid-credentials' },
    });
    const roleless = await startService({
      sandbox: { accounts: [{ ...account, password: 'sandbox-password', roles: [] }] },
    });
    await roleless.create(MESSAGE);
    expect((await roleless.manage('/info')).json).toMatchObject({
      refusals: [{ operation: 'create', reason: 'missing-role' }],
    });
    const dead = await startService();
    await dead.create(MESSAGE);
    dead.sandbox.always({ kind: 'error-500' }, { on: 'any' });
    for (let n = 0; n < 10; n += 1) await dead.create(MESSAGE);
    expect((await dead.manage('/info')).json).toMatchObject({ circuit: { state: 'open' } });
  });

  it('names no account, no caller, and no upstream', async () => {
    const { create, manage, sandbox } = await startService();
    await create(MESSAGE);
    const pages = [await manage('/info'), await manage('/health/ready?verbose'), await manage('/metrics')];
    for (const { text } of pages) {
      expect(text).not.toMatch(/service@example\.com|sandbox-password|everything/);
      expect(text).not.toContain(new URL(sandbox.url).host);
    }
  });

  it('is read-only, and not to be reached on the API port', async () => {
    const { manage, call } = await startService();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await manage('/info', method);
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe('GET, HEAD');
    }
    const head = await manage('/info', 'HEAD');
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await manage('/nope', 'POST')).status).toBe(404);
    for (const path of ['/info', '/metrics', '/health/ready', '/health/live']) {
      expect((await call('GET', path)).status).toBe(404);
    }
  });

  it('says that the service stops at once, while it finishes what is sent', async () => {
    const { create, manage, sandbox, app } = await startService();
    await create(MESSAGE);
    sandbox.next({ kind: 'hang' });
    const answer = create({ businessId: 1, content: 'under way' });
    await sandbox.waitForCall(({ body }) => body.includes('under way'));
    const stopped = app.stop();
    const ready = await manage('/health/ready');
    expect([ready.status, ready.json]).toEqual([503, { status: 'stopping' }]);
    const verbose = await manage('/health/ready?verbose');
    expect([verbose.status, verbose.json['status'], verbose.json['requests']]).toEqual([503, 'stopping', 1]);
    expect((await manage('/health/live')).status).toBe(200);
    sandbox.release();
    expect((await answer).status).toBe(201);
    await stopped;
  });
});

describe('the metrics', () => {
  it('tell of the token: its age, when one was last issued, and why one was not', async () => {
    const service = await startService();
    const { create, sandbox } = service;
    expect(await sample(service, 'nexudus_token_failures_total')).toBeUndefined();
    await create(MESSAGE);
    expect(await sample(service, 'nexudus_token_age_seconds')).toBeGreaterThan(0);
    const issuedAt = (await sample(service, 'nexudus_token_last_success_timestamp_seconds')) ?? 0;
    expect(Math.abs(issuedAt - Date.now() / 1000)).toBeLessThan(60);
    sandbox.revokeAccessTokens();
    sandbox.next({ kind: 'html', status: 503 }, { on: 'token' });
    expect((await create(MESSAGE)).status).toBe(201);
    expect(await sample(service, 'nexudus_token_failures_total', 'reason="unavailable"')).toBe(1);
    expect(await sample(service, 'nexudus_token_last_success_timestamp_seconds')).toBeGreaterThan(issuedAt);
  });

  it('tell what is left of the quota, who was let in, and who was refused at once or after', async () => {
    const service = await startService({ env: { NEXUDUS_WRITE_LIMITS: '2/1s' } });
    const { create, sandbox } = service;
    // No slot comes free as long as these are under way.
    sandbox.next({ kind: 'hold' }, { times: 2 });
    const held = [create(MESSAGE)];
    await sandbox.waitForCall(() => sandbox.writes.length === 1);
    expect(await samples(service, 'nexudus_quota_remaining')).toEqual({ 'kind="write",window="1s"': 1 });
    held.push(create(MESSAGE));
    await sandbox.waitForCall(() => sandbox.writes.length === 2);
    expect((await create(MESSAGE, { prefer: 'wait=1' })).status).toBe(429);
    expect(await sample(service, 'nexudus_quota_admitted_total')).toBe(2);
    expect(await samples(service, 'nexudus_quota_refused_total')).toEqual({
      'reason="too-late"': 1,
      'reason="overtaken"': 0,
    });
    // Taken in for the next slot; then a throttle puts everybody off.
    const takenIn = [create(MESSAGE), create(MESSAGE)];
    await service.untilWaiting(2);
    sandbox.always({ kind: 'throttle', retryAfter: '60' });
    sandbox.release();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([201, 201]);
    expect((await Promise.all(takenIn)).map(({ status }) => status)).toEqual([429, 429]);
    expect(await sample(service, 'nexudus_quota_refused_total', 'reason="overtaken"')).toBe(2);
  });

  it('tell how long the write has waited that has waited longest', async () => {
    const service = await startService({ env: { NEXUDUS_WRITE_LIMITS: '1/1s' } });
    const { create, sandbox } = service;
    sandbox.next({ kind: 'hold' });
    const held = create(MESSAGE);
    await sandbox.waitForCall(() => sandbox.writes.length === 1);
    expect(await sample(service, 'nexudus_quota_oldest_wait_seconds')).toBe(0);
    const waiting = create(MESSAGE);
    let seconds = 0;
    while (seconds === 0) seconds = (await sample(service, 'nexudus_quota_oldest_wait_seconds')) ?? 0;
    sandbox.release();
    expect([(await held).status, (await waiting).status]).toEqual([201, 201]);
  });

  it('count calls by how many times the same was sent before', async () => {
    const service = await startService();
    const { replace, sandbox } = service;
    const { Id } = sandbox.seed({ BusinessId: 1 });
    sandbox.next({ kind: 'error-500' }, { times: 4 });
    expect((await replace(Id, MESSAGE)).status).toBe(200);
    const counts = await samples(service, 'http_client_request_duration_seconds_count');
    const of = (resends: string, status: number): number | undefined =>
      counts[
        `method="PUT",call="/api/sys/openaichatmessages",status="${status}",http_request_resend_count="${resends}"`
      ];
    expect([of('0', 500), of('1', 500), of('2', 500), of('3+', 500), of('3+', 200)]).toEqual([1, 1, 1, 1, 1]);
  });

  it('tell of the process, of the version, of requests under way, and when Nexudus last answered well', async () => {
    const service = await startService();
    const { create, sandbox } = service;
    expect(await sample(service, 'http_server_active_requests')).toBe(0);
    await create(MESSAGE);
    sandbox.next({ kind: 'hang' });
    const answer = create({ businessId: 1, content: 'under way' });
    await sandbox.waitForCall(({ body }) => body.includes('under way'));
    expect(await sample(service, 'http_server_active_requests')).toBe(1);
    sandbox.release();
    await answer;
    expect(Object.values(await samples(service, 'nexudus_build_info'))).toEqual([1]);
    const answeredAt = (await sample(service, 'nexudus_upstream_last_success_timestamp_seconds')) ?? 0;
    expect(Math.abs(answeredAt - Date.now() / 1000)).toBeLessThan(60);
    for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds']) {
      expect(await sample(service, name)).toBeDefined();
    }
  });

  it('forget the requests of a client that went away, also those that it sent before it had an answer', async () => {
    const service = await startService({ env: { NEXUDUS_WRITE_LIMITS: '1/1s' } });
    const { create, sandbox, url, app, log } = service;
    // The only slot is taken until they are gone.
    sandbox.next({ kind: 'hold' });
    const held = create(MESSAGE);
    await sandbox.waitForCall(() => sandbox.writes.length === 1);
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(rawCreate(JSON.stringify(MESSAGE)).repeat(3));
    await service.untilWaiting(3);
    expect(await sample(service, 'http_server_active_requests')).toBe(4);
    socket.destroy();
    await until(() => log.filter(({ aborted }) => aborted).length === 3);
    sandbox.release();
    expect((await held).status).toBe(201);
    expect(await sample(service, 'http_server_active_requests')).toBe(0);
    expect(await sample(service, 'nexudus_quota_waiting')).toBe(0);
    // No 5xx, which would spend the error budget.
    expect(await samples(service, 'http_server_request_duration_seconds_count')).toEqual({
      'method="POST",route="/v1/chat-messages",status="201"': 1,
      'method="POST",route="/v1/chat-messages",status="499"': 3,
    });
    // It would wait for those that are still counted.
    await app.stop();
    expect(sandbox.writes).toHaveLength(1);
  });

  it('have one label for all methods that are none of HTTP, however many are tried', async () => {
    const service = await startService();
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    const methods = ['PROPFIND', 'M-SEARCH', 'PURGE', 'DELETE'];
    for (const method of methods) {
      socket.write(`${method} /problems HTTP/1.1\r\nhost: x\r\n\r\n`);
      await once(socket, 'data');
    }
    socket.destroy();
    await until(() => service.log.filter(({ message }) => message === 'request').length === methods.length);
    expect(await samples(service, 'http_server_request_duration_seconds_count')).toEqual({
      'method="_OTHER",route="none",status="405"': 3,
      'method="DELETE",route="none",status="405"': 1,
    });
  });

  it('are all described in docs/metrics.md: UPDATE_DOCS=1 writes it anew', () => {
    const rows = new Metrics().descriptions.map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
    );
    const page = [
      '# Metrics',
      '',
      'On the management port, `GET /metrics`, in the format of Prometheus. Labels have few values, fixed in the code: no',
      'ids, no raw paths, nothing that a caller or Nexudus wrote. Beside these stand what `prom-client` says of the process',
      'and of Node (`process_*`, `nodejs_*`). This page is made from the code: `scripts/metrics-doc`.',
      '',
      '<!-- prettier-ignore -->',
      '| name | type | labels | meaning |',
      '| --- | --- | --- | --- |',
      ...rows.sort(),
      '',
    ].join('\n');
    if (process.env['UPDATE_DOCS']) writeFileSync('docs/metrics.md', page);
    expect(readFileSync('docs/metrics.md', 'utf8')).toBe(page);
  });
});

describe('the log', () => {
  it.each([
    ['a URL that cannot be read', 'GET /%zz HTTP/1.1\r\n', 'FST_ERR_BAD_URL'],
    ['an expectation', 'GET /problems HTTP/1.1\r\nexpect: better-times\r\n', 'EXPECT'],
  ])('knows the request id of what was refused before it was routed: %s', async (_, start, reason) => {
    const { url, log } = await startService();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`${start}host: x\r\nx-request-id: told-by-a-caller\r\n\r\n`);
    expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 400 [^]*"requestId":"told-by-a-caller"/);
    socket.destroy();
    expect(log).toContainEqual(expect.objectContaining({ requestId: 'told-by-a-caller', reason }));
  });

  it('has one line of JSON for each thing, whatever a caller writes into its request', async () => {
    const { url, rawLog } = await startService({ env: { LOG_LEVEL: 'trace' } });
    const evil = '{"level":60}\\n%0A%1b[31m\u009b2J\u00ff';
    // A control character in a header is not HTTP; what else there is comes as far as the routes.
    for (const value of [`\u001b[31m${evil}`, evil]) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.write(
        `GET /%0d%0a%1b[31minjected?x=${encodeURI(evil)} HTTP/1.1\r\nhost: x\r\nx-request-id: ${value}\r\n` +
          `user-agent: ${value}\r\ntraceparent: ${value}\r\nauthorization: Bearer ${value}\r\n\r\n`,
        'latin1',
      );
      await once(socket, 'data');
      socket.destroy();
    }
    await until(() => rawLog.some((line) => line.includes('"message":"request"')));
    expect(rawLog.some((line) => line.includes('before it was routed'))).toBe(true);
    for (const line of rawLog) {
      // eslint-disable-next-line no-control-regex
      expect(line).toMatch(/^[^\u0000-\u001f\u007f-\u009f]+\n$/);
      expect(() => JSON.parse(line) as unknown).not.toThrow();
      expect(line).not.toContain('injected');
    }
  });
});
