import { describe, expect, it } from '@jest/globals';
import { NexudusSandbox } from './nexudus-sandbox.js';
import { parseLimits } from './quota-windows.js';

/** Writes at these moments, and says which were refused by their window. */
async function statuses(
  timesMs: readonly number[],
  windows: { writeLimits: string; windowShape: 'sliding' | 'fixed'; windowOffsetMs?: number },
): Promise<number[]> {
  let nowMs = 0;
  const sandbox = await NexudusSandbox.start({ ...windows, now: () => nowMs });
  const seen: number[] = [];
  for (const timeMs of timesMs) {
    nowMs = timeMs;
    // Without a token: the windows are in front of it, so 401 means that the call got through them.
    const answer = await fetch(`${sandbox.url}/api/sys/openaichatmessages`, { method: 'POST', body: '{}' });
    await answer.arrayBuffer();
    seen.push(answer.status);
  }
  expect(sandbox.writes.map(({ throttled }) => (throttled ? 409 : 401))).toEqual(seen);
  await sandbox.close();
  return seen;
}

describe('the quota windows', () => {
  it('are read from text', () => {
    expect(parseLimits('1/100ms, 2500/1d')).toEqual([
      { limit: 1, periodMs: 100 },
      { limit: 2500, periodMs: 86_400_000 },
    ]);
    expect(parseLimits('off')).toEqual([]);
    for (const bad of ['', '60', '60/0s', '60/1w', '/1s']) expect(() => parseLimits(bad)).toThrow();
  });

  it('slide: a call leaves the window exactly one period later, refused ones count', async () => {
    const sliding = { writeLimits: '2/1s', windowShape: 'sliding' } as const;
    expect(await statuses([0, 500, 999, 1500, 1998, 2500], sliding)).toEqual([401, 401, 409, 401, 409, 401]);
    expect(await statuses([0, 500, 1000, 1499], sliding)).toEqual([401, 401, 401, 409]);
  });

  it('stand fixed: all is forgotten at offset + k periods', async () => {
    const fixed = { writeLimits: '2/1s', windowShape: 'fixed', windowOffsetMs: 300 } as const;
    expect(await statuses([298, 299, 299, 300, 301, 1299, 1300], fixed)).toEqual([
      401, 401, 409, 401, 401, 409, 401,
    ]);
  });

  it('of every call count the token calls, answer as configured, and may change meanwhile', async () => {
    const sandbox = await NexudusSandbox.start({ callLimits: '1/1m', throttleStatus: 429, now: () => 0 });
    const post = (): Promise<Response> => fetch(`${sandbox.url}/api/token`, { method: 'POST', body: '' });
    expect((await post()).status).toBe(400);
    const refused = await post();
    expect([refused.status, refused.headers.get('retry-after'), await refused.text()]).toEqual([
      429,
      '1',
      '',
    ]);
    sandbox.options.throttleRetryAfter = null;
    expect((await post()).headers.has('retry-after')).toBe(false);
    sandbox.options.callLimits = 'off';
    expect((await post()).status).toBe(400);
    await sandbox.close();
  });
});
