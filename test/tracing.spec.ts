import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { OtlpTracer } from '../src/observability/otlp.tracer.js';
import { startService, type TestService } from './support/service.js';
import { type ReceivedSpan, TraceCollector } from './support/trace-collector.js';
import { until } from './support/until.js';
import { VirtualClock } from './support/virtual-clock.js';

const MESSAGE = { businessId: 1, content: 'x' };
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';
const SAMPLED = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`, tracestate: 'vendor=opaque' };

const nothing = (): void => undefined;
const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing };

const collectors: TraceCollector[] = [];

afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.close();
});

async function startTraced(
  status: number | 'never' = 200,
): Promise<{ service: TestService; collector: TraceCollector }> {
  const collector = await TraceCollector.start(status);
  collectors.push(collector);
  const service = await startService({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
  return { service, collector };
}

const requestLines = ({ log }: TestService): Record<string, unknown>[] =>
  log.filter(({ message }) => message === 'request');
const only = (spans: readonly ReceivedSpan[], kind: number): ReceivedSpan[] =>
  spans.filter((span) => span.kind === kind);

describe("a caller's trace, where no tracing is configured", () => {
  it('goes on to Nexudus as it came, and stands on the log lines of the request', async () => {
    const service = await startService();
    service.sandbox.next({ kind: 'error-500' });
    await service.create(MESSAGE, { ...SAMPLED, baggage: 'userId=alice' });
    const { headers } = service.sandbox.writes[0] ?? {};
    expect(headers).toMatchObject(SAMPLED);
    expect(headers).not.toHaveProperty('baggage');
    const lines = service.log.filter(({ requestId }) => requestId !== undefined);
    expect(lines.map(({ traceId }) => traceId)).toEqual([TRACE_ID, TRACE_ID]);
  });

  it('that is not valid is not handed on, and none is made up', async () => {
    const service = await startService();
    await service.create(MESSAGE, { traceparent: 'not-a-trace', tracestate: 'vendor=opaque' });
    await service.create(MESSAGE);
    for (const { headers } of service.sandbox.writes) {
      expect(headers).not.toHaveProperty('traceparent');
      expect(headers).not.toHaveProperty('tracestate');
    }
    for (const line of requestLines(service)) expect(line).not.toHaveProperty('traceId');
  });

  it('costs nothing: what it takes to speak to a collector is not even loaded', () => {
    const loaded = (file: string): number => {
      const script = `import { createRequire } from 'node:module';
        await import('./dist/${file}');
        const loaded = Object.keys(createRequire(import.meta.url).cache);
        console.log(loaded.filter((path) => path.includes('sdk-trace')).length);`;
      return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script]));
    };
    expect(loaded('app.setup.js')).toBe(0);
    expect(loaded('observability/otlp.tracer.js')).toBeGreaterThan(0);
  });
});

describe('a trace', () => {
  it('shows a request, its wait and each attempt, by the semantic conventions, within the trace of the caller', async () => {
    const { service, collector } = await startTraced();
    const { create, replace, sandbox, app } = service;
    const { Id } = sandbox.seed({ BusinessId: 1 });
    await create(MESSAGE);
    sandbox.next({ kind: 'error-500' });
    expect((await replace(Id, MESSAGE, SAMPLED)).status).toBe(200);
    await app.stop();
    expect(collector.resource).toMatchObject({ 'service.name': 'nexudus-bff' });

    const spans = collector.spans.filter(({ traceId }) => traceId === TRACE_ID);
    const [server] = only(spans, 2);
    expect(server).toMatchObject({
      name: 'PUT /v1/chat-messages/:id',
      parentSpanId: SPAN_ID,
      attributes: {
        'http.request.method': 'PUT',
        'http.route': '/v1/chat-messages/:id',
        'http.response.status_code': 200,
        'nexudus_bff.outcome': 'done',
      },
    });
    expect(only(spans, 1).map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
      ['wait', server?.spanId],
      ['wait', server?.spanId],
    ]);
    const attempts = only(spans, 3);
    expect(attempts).toMatchObject([
      {
        name: 'PUT /api/sys/openaichatmessages',
        parentSpanId: server?.spanId,
        status: { code: 2 },
        attributes: { 'http.request.method': 'PUT', 'http.response.status_code': 500, 'error.type': '500' },
      },
      {
        parentSpanId: server?.spanId,
        status: { code: 0 },
        attributes: {
          'http.response.status_code': 200,
          'http.request.resend_count': 1,
          'server.address': '127.0.0.1',
          'url.full': `${sandbox.url}/api/sys/openaichatmessages`,
        },
      },
    ]);
    // What Nexudus got names the very attempt, and the caller's own state.
    expect(
      sandbox.writes.slice(1).map(({ headers }) => [headers['traceparent'], headers['tracestate']]),
    ).toEqual(attempts.map(({ spanId }) => [`00-${TRACE_ID}-${spanId}-01`, 'vendor=opaque']));
    expect(requestLines(service).at(-1)).toMatchObject({ traceId: TRACE_ID });
  });

  it('shows the wait for a token where there was one, and only there', async () => {
    const { service, collector } = await startTraced();
    await service.create(MESSAGE);
    service.sandbox.revokeAccessTokens();
    await service.create(MESSAGE, SAMPLED);
    await service.create(MESSAGE);
    await service.app.stop();
    const tokens = collector.spans.filter(({ name }) => name === 'token');
    const traceIds = requestLines(service).map(({ traceId }) => traceId);
    expect(tokens.map(({ traceId }) => traceId)).toContain(TRACE_ID);
    expect(tokens.map(({ traceId }) => traceId)).not.toContain(traceIds[2]);
  });

  it('is begun where the caller has none, and names no path, no key and no content', async () => {
    const { service, collector } = await startTraced();
    await service.create({ businessId: 1, content: 'a very private sentence' });
    await service.call('GET', '/a/private/path?with=query');
    await service.app.stop();
    const servers = only(collector.spans, 2);
    expect(servers.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
      ['POST /v1/chat-messages', undefined],
      ['GET', undefined],
    ]);
    expect(requestLines(service).map(({ traceId }) => traceId)).toEqual(
      servers.map(({ traceId }) => traceId),
    );
    expect(collector.texts.join()).not.toMatch(/private|key-for-everything|sandbox-password/);
  });

  it('that the caller does not sample is not recorded, but goes on', async () => {
    const { service, collector } = await startTraced();
    await service.create(MESSAGE, { traceparent: `00-${TRACE_ID}-${SPAN_ID}-00` });
    await service.app.stop();
    expect(collector.spans).toEqual([]);
    expect(service.sandbox.writes[0]?.headers['traceparent']).toMatch(
      new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-00$`),
    );
  });
});

describe('a collector that is out of order', () => {
  it.each([['is not there'], ['refuses'], ['never answers']] as const)(
    'costs no request, no more than one line of the log, and does not hold up the stop: %s',
    async (how) => {
      const { service, collector } = await startTraced(how === 'refuses' ? 400 : 'never');
      if (how === 'is not there') await collectors.pop()?.close();
      for (let n = 0; n < 20; n += 1) expect((await service.create(MESSAGE)).status).toBe(201);
      await service.app.stop();
      // The stop waits no longer than it may for those that were sent last: they may arrive after it.
      if (how !== 'is not there') await until(() => collector.texts.length > 0);
      const complaints = (): unknown[] =>
        service.log.filter(({ message }) => String(message).startsWith('The collector'));
      if (how === 'refuses') await until(() => complaints().length > 0);
      expect(complaints().length).toBeLessThanOrEqual(1);
      // In batches: how many there are is a matter of how long the requests took.
      expect(collector.texts.length).toBeLessThan(10);
    },
  );

  it('is complained of once a minute at most, however much it refuses', async () => {
    const collector = await TraceCollector.start(400);
    collectors.push(collector);
    const warn = jest.fn();
    const tracer = new OtlpTracer(collector.url, new VirtualClock(), { ...SILENT, warn });
    // More than fits in one batch.
    for (let n = 0; n < 600; n += 1) tracer.request('GET', {}).end();
    await tracer.onApplicationShutdown();
    expect(collector.texts).toHaveLength(2);
    expect(warn).toHaveBeenCalledTimes(1);
  });
});
