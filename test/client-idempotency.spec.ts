import { describe, expect, it } from '@jest/globals';
import { createClient, send } from '../clients/typescript/client.js';
import { KEYS, startService } from './support/service.js';

const MESSAGE = { businessId: 1, content: 'See you at ten.' };

describe('a client whose first answer gets lost', () => {
  it('gets it again, and the message is sent once', async () => {
    const { url, sandbox } = await startService();
    let attempts = 0;
    const client = createClient({
      baseUrl: url,
      token: KEYS.everything,
      fetch: async (request) => {
        const answer = await fetch(request);
        if (++attempts === 1) throw new TypeError('terminated');
        return answer;
      },
    });
    const sent = await send(client, MESSAGE);
    expect(sent).toMatchObject({ ok: true, isReplayed: true, message: MESSAGE });
    expect([attempts, sandbox.writes.length, sandbox.messages.size]).toEqual([2, 1, 1]);
  });

  it('while its message is still under way waits for the end of it, and the message is sent once', async () => {
    const { url, sandbox } = await startService();
    sandbox.next({ kind: 'hold' });
    const statuses: number[] = [];
    let isFirst = true;
    const client = createClient({
      baseUrl: url,
      token: KEYS.everything,
      fetch: async (request) => {
        const answer = fetch(request);
        if (isFirst) {
          isFirst = false;
          answer.catch(() => undefined);
          await sandbox.waitForCall(() => sandbox.writes.length === 1);
          throw new TypeError('terminated');
        }
        statuses.push((await answer).status);
        sandbox.release();
        return answer;
      },
    });
    expect(await send(client, MESSAGE)).toMatchObject({ ok: true, isReplayed: true });
    expect(statuses.at(-1)).toBe(201);
    expect(new Set(statuses.slice(0, -1))).toEqual(new Set([409]));
    expect(sandbox.writes).toHaveLength(1);
  });

  it('of a create whose outcome is unknown hears so again, and the message is not sent again', async () => {
    const { url, sandbox } = await startService();
    sandbox.next({ kind: 'lost' });
    const client = createClient({ baseUrl: url, token: KEYS.everything });
    const idempotencyKey = crypto.randomUUID();
    for (const isReplayed of [false, true]) {
      const { error, response } = await client.POST('/v1/chat-messages', {
        params: { header: { 'Idempotency-Key': `"${idempotencyKey}"` } },
        body: MESSAGE,
      });
      expect(error).toMatchObject({ outcome: 'unknown', retryable: false });
      expect(response.headers.has('idempotency-replayed')).toBe(isReplayed);
    }
    expect(sandbox.writes).toHaveLength(1);
  });
});
