import { describe, expect, it } from '@jest/globals';
import { type ApiClient, createClient, NoAnswer, send, slugOf } from '../clients/typescript/client.js';
import { codeOf, linesOf, printedBy } from './support/page-code.js';
import { KEYS, startService, type TestService } from './support/service.js';

const MESSAGE = { businessId: 1, content: 'See you at ten.' };

/** What happens to an attempt on its way: by default it reaches the service, and its answer comes back. */
type Way = (request: Request, attempt: number) => Promise<Response>;

/** The client of a service, and every request that it made. */
async function startClient(
  given: Parameters<typeof startService>[0] & { way?: Way } = {},
): Promise<TestService & { client: ApiClient; requests: Request[] }> {
  const { way = (request) => fetch(request), ...settings } = given;
  const service = await startService(settings);
  const requests: Request[] = [];
  const client = createClient({
    baseUrl: service.url,
    token: KEYS.everything,
    fetch: (request) => way(request, requests.push(request)),
  });
  return { ...service, client, requests };
}

const keysOf = (requests: Request[]): Set<string | null> =>
  new Set(requests.map(({ headers }) => headers.get('idempotency-key')));

describe('sending', () => {
  it('creates a message', async () => {
    const { client, sandbox, requests } = await startClient();
    const sent = await send(client, MESSAGE);
    if (!sent.ok) throw new Error(sent.problem.detail);
    expect(sent.message).toMatchObject({ ...MESSAGE, action: 'operator', userId: null });
    expect(sandbox.messages.get(sent.message.id)).toMatchObject({ Content: MESSAGE.content });
    expect(requests[0]?.headers.get('idempotency-key')).toMatch(/^"[0-9a-f-]{36}"$/);
  });

  it('replaces one', async () => {
    const { client, sandbox } = await startClient();
    const { Id } = sandbox.seed({ BusinessId: 1 });
    expect(await send(client, MESSAGE, { id: Id })).toMatchObject({ ok: true, message: { id: Id } });
    expect(sandbox.messages.get(Id)).toMatchObject({ Content: MESSAGE.content });
  });

  it('returns a problem, told apart by its kind wherever its type is based', async () => {
    const { client, requests } = await startClient({
      env: { PROBLEM_TYPE_BASE_URL: 'https://docs.example.com/p/' },
    });
    const sent = await send(client, { ...MESSAGE, businessId: 0 });
    if (sent.ok) throw new Error('it was sent');
    expect(slugOf(sent.problem)).toBe('validation-failed');
    expect(sent.problem.errors).toEqual([{ pointer: '#/businessId', detail: expect.any(String) }]);
    expect(requests).toHaveLength(1);
  });

  it('never repeats a create whose outcome is unknown', async () => {
    const { client, sandbox, requests } = await startClient();
    sandbox.next({ kind: 'lost' });
    expect(await send(client, MESSAGE)).toMatchObject({ ok: false, problem: { outcome: 'unknown' } });
    expect([requests.length, sandbox.writes.length]).toEqual([1, 1]);
  });

  it('repeats a replace whose outcome is unknown', async () => {
    const { client, sandbox, requests } = await startClient();
    const { Id } = sandbox.seed({ BusinessId: 1 });
    for (let attempt = 0; attempt < 5; attempt++) sandbox.next({ kind: 'error-500' });
    expect(await send(client, MESSAGE, { id: Id })).toMatchObject({ ok: true });
    expect([requests.length, sandbox.writes.length]).toEqual([2, 6]);
  });

  it('repeats what is retryable when the service says that it can succeed, with the same key', async () => {
    const { client, sandbox, requests } = await startClient();
    sandbox.next({ kind: 'edge-403' });
    expect(await send(client, MESSAGE)).toMatchObject({ ok: true });
    expect(requests).toHaveLength(2);
    expect(keysOf(requests).size).toBe(1);
    expect(sandbox.messages.size).toBe(1);
  });

  it('does not wait for what comes too late: it says when', async () => {
    const { client, sandbox, requests } = await startClient();
    sandbox.next({ kind: 'throttle', retryAfter: '120' });
    expect(await send(client, MESSAGE)).toMatchObject({
      ok: false,
      problem: { status: 429, retryable: true },
      retryAfterMs: 120_000,
    });
    expect(requests).toHaveLength(1);
  });

  it('tells the service how long it waits', async () => {
    const { client, sandbox, requests } = await startClient();
    sandbox.next({ kind: 'hang' });
    expect(await send(client, MESSAGE, { timeoutMs: 6_900 })).toMatchObject({ problem: { status: 504 } });
    expect(requests[0]?.headers.get('prefer')).toBe('wait=5');
  });

  it.each<[string, Way]>([
    ['the network fails', () => Promise.reject(new TypeError('fetch failed'))],
    ['something on the way answers', () => Promise.resolve(new Response('<html>', { status: 502 }))],
    ['something on the way sends a page', () => Promise.resolve(new Response('<html>', { status: 200 }))],
  ])('repeats with the same key where %s', async (_, broken) => {
    const { client, sandbox, requests } = await startClient({
      way: (request, attempt) => (attempt === 1 ? broken(request, attempt) : fetch(request)),
    });
    expect(await send(client, MESSAGE)).toMatchObject({ ok: true });
    expect([requests.length, keysOf(requests).size, sandbox.writes.length]).toEqual([2, 1, 1]);
  });

  it('gives up where no answer ever comes, and names the key with which it is safe to go on', async () => {
    const { client, requests } = await startClient({
      way: () => Promise.reject(new TypeError('fetch failed')),
    });
    const gaveUp = send(client, MESSAGE, { attempts: 2, idempotencyKey: 'my-key' });
    await expect(gaveUp).rejects.toMatchObject({ name: 'NoAnswer', idempotencyKey: 'my-key' });
    await expect(gaveUp).rejects.toBeInstanceOf(NoAnswer);
    expect(requests).toHaveLength(2);
  });

  it('ends without an answer when its time is over', async () => {
    const { client, sandbox } = await startClient();
    sandbox.next({ kind: 'hang' });
    await expect(send(client, MESSAGE, { timeoutMs: 200 })).rejects.toBeInstanceOf(NoAnswer);
  });

  it('stops while it waits when it is told to', async () => {
    const stop = new AbortController();
    const { client, sandbox, requests } = await startClient({
      way: async (request) => {
        const answer = await fetch(request);
        setImmediate(() => {
          stop.abort(new Error('the page was left'));
        });
        return answer;
      },
    });
    sandbox.next({ kind: 'throttle', retryAfter: '30' });
    await expect(send(client, MESSAGE, { signal: stop.signal })).rejects.toThrow('the page was left');
    expect(requests).toHaveLength(1);
  });
});

describe('the client', () => {
  it('asks for its token before each request, and has every operation', async () => {
    const { url } = await startService();
    const tokens = [KEYS.expired, KEYS.everything];
    const client = createClient({ baseUrl: url, token: () => Promise.resolve(tokens.shift() ?? '') });
    const refused = await client.POST('/v1/chat-messages', { body: MESSAGE });
    expect(refused.error).toMatchObject({ status: 401 });
    const { data } = await client.POST('/v1/chat-messages', { body: MESSAGE });
    expect(data).toMatchObject(MESSAGE);
    const { data: kind } = await client.GET('/problems/{slug}', { params: { path: { slug: 'not-found' } } });
    expect(kind).toMatchObject({ status: 404 });
  });
});

describe('the code in docs/clients.md', () => {
  const [inBrowser = '', inNode = '', typed = ''] = codeOf('docs/clients.md');

  it.each([
    ['See you at ten.', /^Sent, as message \d+\.$/],
    ['sandbox:lost', /^It may have been sent/],
    ['sandbox:reject', /^Not sent: /],
    [' ', /^Not sent: must be a text, not blank/],
  ])('for a browser says what became of %j', async (content, expected) => {
    const { url } = await startService();
    const service = JSON.stringify({ baseUrl: url, token: KEYS.everything });
    const message = JSON.stringify({ ...MESSAGE, content });
    expect(await printedBy(`${inBrowser}\nconsole.log(await say(${message}, ${service}));`)).toMatch(
      expected,
    );
  });

  it('for Node sends a message, again where it was throttled', async () => {
    const { url, sandbox } = await startService({ env: { REQUEST_DEADLINE_MS: '4000' } });
    // Longer than the service waits.
    sandbox.next({ kind: 'throttle', retryAfter: '5' });
    const output = await printedBy(inNode, MESSAGE.content, { CHAT_URL: url, CHAT_TOKEN: KEYS.everything });
    expect(output).toContain("content: 'See you at ten.'");
    expect(sandbox.messages.size).toBe(1);
  });

  it('for the typed client sends a message', async () => {
    const { url, sandbox } = await startService();
    const known = { createClient, send, slugOf, baseUrl: url, currentAccessToken: () => KEYS.everything };
    expect(await linesOf(typed, known)).toEqual([`message ${[...sandbox.messages.keys()].join()}`]);
  });
});
