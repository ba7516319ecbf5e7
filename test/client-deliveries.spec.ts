import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type ApiClient, createClient, type Delivery, handOver, send } from '../clients/typescript/client.js';
import { follow, NotTold, settled } from '../clients/typescript/deliveries.js';
import { codeOf, linesOf, printedBy } from './support/page-code.js';

const MESSAGE = { businessId: 1, content: 'See you at ten.' };
const PATH = '/v1/deliveries/5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11';
const ID = '5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11';
const WAITING: Delivery = {
  id: ID,
  operation: 'create',
  state: 'accepted',
  outcome: null,
  attempts: 0,
  position: 1,
  // Past, whatever the clock here says: it is asked again soon.
  estimatedAt: '2020-11-22T00:19:37Z',
  expiresAt: '2020-11-23T00:19:25Z',
  acceptedAt: '2020-11-22T00:19:25Z',
};
const DONE: Delivery = { ...WAITING, state: 'done', outcome: 'done', attempts: 1 };
const REFUSED = {
  type: '/problems/delivery-not-found',
  title: 'x',
  status: 404,
  detail: 'There is no delivery with this id.',
  instance: '/',
  requestId: 'r',
  outcome: 'not-sent',
  retryable: false,
};
const SENT = { id: 7, ...MESSAGE, action: 'operator', userId: null, sessionId: null, updatedAt: null };

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const json =
  (status: number, body: object, headers: Record<string, string> = {}): Answer =>
  (response) => {
    const type = { 'content-type': 'application/json' };
    response.writeHead(status, { ...type, ...headers }).end(JSON.stringify(body));
  };
const event = (delivery: Delivery): string => `event: state\ndata: ${JSON.stringify(delivery)}\n\n`;
const events =
  (...chunks: string[]): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const chunk of chunks) response.write(chunk);
    response.end();
  };
const cut: Answer = (response) => {
  response.destroy();
};

const servers: (() => void)[] = [];
afterEach(() => {
  for (const close of servers.splice(0)) close();
});

/** A stand-in for the service, which gives these answers one after the other, and the last one for good. */
async function stub(
  ...answers: Answer[]
): Promise<{ baseUrl: string; client: ApiClient; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests.push(request), answers.length) - 1];
    request.resume().on('end', () => answer?.(response, request));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { baseUrl, client: createClient({ baseUrl, token: 'a-key' }), requests };
}

async function statesOf(deliveries: AsyncIterable<Delivery>): Promise<string[]> {
  const states: string[] = [];
  for await (const { state } of deliveries) states.push(state);
  return states;
}

const { id, state, position = null, estimatedAt = null, expiresAt } = WAITING;
const accepted = { id, state, position, estimatedAt, expiresAt };

describe('handing over', () => {
  it('prefers not to wait, and returns the delivery', async () => {
    const { client, requests } = await stub(json(202, accepted));
    expect(await handOver(client, MESSAGE)).toEqual({ ok: true, delivery: accepted, isReplayed: false });
    expect(requests[0]?.headers).toMatchObject({
      prefer: 'respond-async',
      'idempotency-key': expect.stringMatching(/^"[0-9a-f-]{36}"$/),
    });
  });

  it('can wait for a while first, and returns the message where that was enough', async () => {
    const { client, requests } = await stub(json(201, SENT));
    expect(await handOver(client, MESSAGE, { waitS: 5 })).toMatchObject({ ok: true, message: { id: 7 } });
    expect(requests[0]?.headers['prefer']).toBe('respond-async, wait=5');
  });

  it('is repeated with the same key where no answer came', async () => {
    const { client, requests } = await stub(cut, json(202, accepted));
    expect(await handOver(client, MESSAGE)).toMatchObject({ delivery: { id: ID } });
    expect(new Set(requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(requests).toHaveLength(2);
  });

  it('returns a problem', async () => {
    const { client } = await stub(json(404, REFUSED));
    expect(await handOver(client, MESSAGE, { id: 1 })).toMatchObject({ ok: false, problem: REFUSED });
  });

  it('is nothing that happens to whoever just sends', async () => {
    const { client } = await stub(json(202, accepted));
    await expect(send(client, MESSAGE)).rejects.toThrow('handed over');
  });
});

describe('waiting for a delivery', () => {
  it('asks until it is settled, whatever happens to the answers meanwhile', async () => {
    const { client, requests } = await stub(
      json(200, WAITING),
      cut,
      json(503, { ...REFUSED, status: 503, retryable: true }),
      (response) => response.writeHead(502).end('<html>'),
      json(200, DONE),
    );
    expect(await settled(client, ID)).toEqual(DONE);
    expect(requests.map(({ url }) => url)).toEqual(Array(5).fill(`/v1/deliveries/${ID}`));
    expect(requests[0]?.headers.authorization).toBe('Bearer a-key');
  });

  it.each([
    ['asking', (client: ApiClient) => settled(client, ID)],
    ['following', (client: ApiClient) => statesOf(follow(client, ID))],
  ])('by %s ends where the service does not tell', async (_, wait) => {
    const { client, requests } = await stub(json(404, REFUSED));
    const refused = wait(client);
    await expect(refused).rejects.toBeInstanceOf(NotTold);
    await expect(refused).rejects.toMatchObject({ problem: { type: '/problems/delivery-not-found' } });
    expect(requests).toHaveLength(1);
  });

  it.each([
    [
      'asking',
      (client: ApiClient, signal: AbortSignal) => settled(client, ID, { signal }),
      // Expected so late that it is not asked again before the end.
      json(200, { ...WAITING, estimatedAt: '2999-11-22T00:19:37Z' }),
    ],
    [
      'following',
      (client: ApiClient, signal: AbortSignal) => statesOf(follow(client, ID, { signal })),
      ((response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write(event(WAITING));
      }) satisfies Answer,
    ],
  ])('by %s ends when it is told to', async (_, wait, answer) => {
    const stop = new AbortController();
    const { baseUrl, requests } = await stub(answer);
    const client = createClient({
      baseUrl,
      token: 'a-key',
      fetch: async (request) => {
        const response = await fetch(request);
        // When it has been read, and is waited for what comes next.
        setTimeout(() => {
          stop.abort(new Error('the page was left'));
        }, 200);
        return response;
      },
    });
    const waiting = wait(client, stop.signal);
    await expect(waiting).rejects.toThrow('the page was left');
    expect(requests).toHaveLength(1);
  });
});

describe('following a delivery', () => {
  const SENDING: Delivery = { ...WAITING, state: 'sending' };

  it('yields every state until it is settled, however the stream is cut into pieces', async () => {
    const text = `: hello\n\n${event(WAITING)}: still there\n\n${event(SENDING)}${event(DONE)}`;
    const { baseUrl, requests } = await stub(events(text));
    const client = createClient({
      baseUrl,
      token: 'a-key',
      fetch: async (request) => {
        const response = await fetch(request);
        const bytes = new Uint8Array(await response.arrayBuffer());
        const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, n) =>
          bytes.slice(n * 7, n * 7 + 7),
        );
        return new Response(ReadableStream.from(pieces), response);
      },
    });
    expect(await statesOf(follow(client, ID))).toEqual(['accepted', 'sending', 'done']);
    expect(requests[0]).toMatchObject({
      url: `/v1/deliveries/${ID}/events`,
      headers: { accept: 'text/event-stream' },
    });
  });

  it('goes on with another connection where one ends before', async () => {
    const { client, requests } = await stub(
      events(event(WAITING), event(SENDING).slice(0, 30)),
      cut,
      events(event(DONE)),
    );
    expect(await statesOf(follow(client, ID))).toEqual(['accepted', 'done']);
    expect(requests).toHaveLength(3);
  });

  it('hangs up when nobody listens any more', async () => {
    let closed: Promise<unknown> | undefined;
    const { client } = await stub((response) => {
      closed = once(response, 'close');
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(event(WAITING));
    });
    for await (const { state } of follow(client, ID)) {
      expect(state).toBe('accepted');
      break;
    }
    await closed;
  });
});

describe('the code in docs/clients.md about handing over', () => {
  const [, , , inBrowser = '', inNode = '', typed = ''] = codeOf('docs/clients.md');
  const handedOver = json(202, accepted, { location: PATH });
  const inTwo = [events(event(WAITING)), events(event({ ...WAITING, state: 'sending' }), event(DONE))];

  it('for a browser shows each state, over as many connections as it takes', async () => {
    const { baseUrl, requests } = await stub(handedOver, ...inTwo);
    const service = JSON.stringify({ baseUrl, token: 'a-key' });
    const code = `${inBrowser}
      const path = await handOver(${JSON.stringify(MESSAGE)}, ${service});
      await followDelivery(path, ({ state }) => console.log(state), ${service});`;
    expect((await printedBy(code)).split('\n')).toEqual(['accepted', 'sending', 'done']);
    expect(requests.map(({ method, url }) => `${String(method)} ${String(url)}`)).toEqual([
      'POST /v1/chat-messages',
      `GET ${PATH}/events`,
      `GET ${PATH}/events`,
    ]);
    expect(requests[0]?.headers['prefer']).toBe('respond-async');
  });

  it('for a browser knows a message that was sent at once', async () => {
    const { baseUrl } = await stub(json(201, SENT));
    const service = JSON.stringify({ baseUrl, token: 'a-key' });
    const code = `${inBrowser}\nconsole.log(await handOver(${JSON.stringify(MESSAGE)}, ${service}));`;
    expect(await printedBy(code)).toBe('undefined');
  });

  it('for a browser throws what went wrong', async () => {
    const { baseUrl } = await stub(json(404, REFUSED));
    const service = JSON.stringify({ baseUrl, token: 'a-key' });
    for (const call of [`handOver({}, ${service})`, `followDelivery('/x', () => {}, ${service})`]) {
      const code = `${inBrowser}\nawait ${call}.catch(({ type }) => console.log(type));`;
      expect(await printedBy(code)).toBe('/problems/delivery-not-found');
    }
  });

  it.each([
    ['asks until it is settled', [handedOver, json(200, WAITING), cut, json(200, DONE)], /state: 'done'/],
    ['knows a message that was sent at once', [json(201, SENT)], /id: 7/],
    ['knows a problem', [json(404, REFUSED)], /delivery-not-found/],
  ])('for Node %s', async (_, answers, expected) => {
    const { baseUrl, requests } = await stub(...answers);
    const env = { CHAT_URL: baseUrl, CHAT_TOKEN: 'a-key' };
    expect(await printedBy(inNode, MESSAGE.content, env)).toMatch(expected);
    expect(requests).toHaveLength(answers.length);
  });

  it('for the typed client follows, and says how it ended', async () => {
    const { baseUrl } = await stub(handedOver, ...inTwo, json(200, { ...DONE, message: SENT }));
    const known = { createClient, handOver, follow, settled, baseUrl, currentAccessToken: () => 'a-key' };
    expect(await linesOf(typed, known)).toEqual(['accepted 1', 'sending 1', 'done 1', 'done 7']);
  });
});
