import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import type { NexudusConfig } from '../config/sections.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import { Metrics } from '../observability/metrics.js';
import type { PacedCalls } from './paced-call.js';
import { TokenEndpoint } from './token.endpoint.js';
import type { WireResult } from './wire.js';

const CREDENTIALS = { username: 'u', password: 'p', totpSecret: 'JBSWY3DPEHPK3PXP', clientId: 'c' };
const ISSUED: WireResult = {
  kind: 'answer',
  status: 200,
  headers: {},
  body: JSON.stringify({ access_token: 'a', token_type: 'bearer', expires_in: 60, refresh_token: 'r' }),
  cutOffBy: undefined,
};

/** An endpoint on a clock that is held, and what it sent: only the wire is not real. */
function endpointOn(
  clock: VirtualClock,
  turnAfterMs = 0,
): { endpoint: TokenEndpoint; codes: () => (string | null)[] } {
  const bodies: string[] = [];
  const calls: Pick<PacedCalls, 'perform'> = {
    perform: async (makeCall) => {
      await clock.sleep(turnAfterMs);
      const { body = '', isWanted } = makeCall();
      if (isWanted?.() === false) return { kind: 'not-sent', reason: 'unwanted', cause: undefined };
      bodies.push(body);
      return ISSUED;
    },
  };
  const config = { attemptTimeoutMs: 1_000 } as NexudusConfig;
  const endpoint = new TokenEndpoint(calls as PacedCalls, config, clock, new Metrics());
  return { endpoint, codes: () => bodies.map((body) => new URLSearchParams(body).get('totp')) };
}

/** Lets the clock go on, and whoever waits for it have its turn. */
async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 500) {
    clock.run(clock.nowMs() + 500);
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }
}

describe('a call for a token', () => {
  it('that has no turn, since the database that gives it is away, is no fault', async () => {
    const calls: Pick<PacedCalls, 'perform'> = {
      perform: () => Promise.reject(new DatabaseUnavailable(false)),
    };
    const config = { attemptTimeoutMs: 1_000 } as NexudusConfig;
    const endpoint = new TokenEndpoint(calls as PacedCalls, config, new VirtualClock(), new Metrics());
    const { answer } = await endpoint.refresh('r', CREDENTIALS, () => true);
    expect(answer).toEqual({ kind: 'unavailable', retryAfterMs: undefined, detail: 'the database is away' });
  });
});

describe('a login with a two-factor code', () => {
  it('never sends the same code twice, however many logins there are at once', async () => {
    const clock = new VirtualClock();
    const { endpoint, codes } = endpointOn(clock);
    const logins = [1, 2, 3].map(() => endpoint.login(CREDENTIALS, () => true));
    await pass(clock, 90_000);
    await Promise.all(logins);
    expect(codes()).toHaveLength(3);
    expect(new Set(codes()).size).toBe(3);
  });

  it('remembers what it sent for one secret while another is tried: a change that is taken back at once', async () => {
    const clock = new VirtualClock();
    const { endpoint, codes } = endpointOn(clock);
    const other = { ...CREDENTIALS, totpSecret: 'GEZDGNBVGY3TQOJQ' };
    const logins = [CREDENTIALS, other, CREDENTIALS].map((one) => endpoint.login(one, () => true));
    await pass(clock, 60_000);
    await Promise.all(logins);
    expect(new Set(codes()).size).toBe(3);
  });

  it('waits for the next code where another process may have sent this one', async () => {
    const sentAtMs = async (othersUntilMs: number): Promise<number> => {
      const clock = new VirtualClock();
      const { endpoint } = endpointOn(clock);
      clock.run(40_000);
      const login = endpoint.login(CREDENTIALS, () => true, othersUntilMs);
      await pass(clock, 40_000);
      return (await login).sentAtMs;
    };
    expect(await sentAtMs(29_000)).toBeLessThan(45_000);
    expect(await sentAtMs(31_000)).toBeGreaterThanOrEqual(60_000);
  });

  it('takes the code when its turn has come, not before: a turn may take longer than a code lives', async () => {
    const [early, late] = [new VirtualClock(), new VirtualClock()];
    const [atOnce, afterAWhile] = [endpointOn(early), endpointOn(late, 45_000)];
    const logins = [
      atOnce.endpoint.login(CREDENTIALS, () => true),
      afterAWhile.endpoint.login(CREDENTIALS, () => true),
    ];
    await pass(early, 1_000);
    await pass(late, 50_000);
    const replies = await Promise.all(logins);
    expect(replies[1]?.sentAtMs).toBeGreaterThanOrEqual(45_000);
    expect(afterAWhile.codes()).not.toEqual(atOnce.codes());
  });

  it('is not sent for credentials that were replaced while it waited', async () => {
    const clock = new VirtualClock();
    const { endpoint, codes } = endpointOn(clock);
    const first = endpoint.login(CREDENTIALS, () => true);
    await pass(clock, 1_000);
    await first;
    let isWanted = true;
    const second = endpoint.login(CREDENTIALS, () => isWanted);
    isWanted = false;
    await pass(clock, 60_000);
    expect((await second).answer.kind).toBe('unavailable');
    expect(codes()).toHaveLength(1);
  });
});
