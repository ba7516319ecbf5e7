import { describe, expect, it } from '@jest/globals';
import { ANSWER, leaseOf } from '../../test/support/idempotency-store.contract.js';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import { createLogger } from '../observability/json-logger.js';
import { Metrics } from '../observability/metrics.js';
import { Idempotency, type Keep, type KeyedRequest } from './idempotency.js';
import type { KeptAnswer } from './idempotency.store.js';
import { MemoryIdempotencyStore } from './memory.idempotency.store.js';

const UNKNOWN: KeptAnswer = { ...ANSWER, status: 502, outcome: 'unknown', problem: 'upstream-failure' };
const REPLACE: KeyedRequest = { requestId: 'r', scope: 'a', fingerprint: 'x', orphaned: undefined };
const CREATE: KeyedRequest = { ...REPLACE, orphaned: () => new Error('unknown') };
const LEASE_MS = 30_000;

function open(): { clock: VirtualClock; store: MemoryIdempotencyStore; idempotency: Idempotency } {
  const clock = new VirtualClock();
  clock.run(1_000);
  const store = new MemoryIdempotencyStore({ ttlMs: 3_600_000, heldKeys: 10, answerBytes: 100_000 }, clock);
  const log = createLogger('silent');
  return { clock, store, idempotency: new Idempotency(store, clock, log, new Metrics()) };
}

const keepUnknown = (): Keep => ({ answer: UNKNOWN, certainty: 'unknown' });

describe('work that somebody began and left', () => {
  it('is not begun again where that could do harm: it is unknown, for everybody who asks', async () => {
    const { clock, store, idempotency } = open();
    leaseOf(await store.claim('a', 'x', LEASE_MS));
    clock.run(clock.nowMs() + LEASE_MS);
    let works = 0;
    const work = async (): Promise<KeptAnswer> => {
      works += 1;
      return ANSWER;
    };
    await expect(idempotency.once(CREATE, work, keepUnknown)).rejects.toThrow('unknown');
    expect(await idempotency.once(CREATE, work, keepUnknown)).toEqual({ answer: UNKNOWN, replayed: true });
    expect(works).toBe(0);
  });

  it('is done again where that does no harm', async () => {
    const { clock, store, idempotency } = open();
    leaseOf(await store.claim('a', 'x', LEASE_MS));
    clock.run(clock.nowMs() + LEASE_MS);
    const done = await idempotency.once(REPLACE, async () => ANSWER, keepUnknown);
    expect(done).toEqual({ answer: ANSWER, replayed: false });
  });
});

describe('a lease', () => {
  it('is held for as long as the work takes, and not a timer longer', async () => {
    const { clock, idempotency } = open();
    let finish: (answer: KeptAnswer) => void = () => undefined;
    const work = new Promise<KeptAnswer>((resolve) => {
      finish = resolve;
    });
    const first = idempotency.once(CREATE, () => work, keepUnknown);
    await Promise.resolve();
    for (let minute = 0; minute < 10; minute += 1) {
      clock.run(clock.nowMs() + 60_000);
      await expect(idempotency.once(CREATE, () => work, keepUnknown)).rejects.toMatchObject({
        slug: 'idempotency-key-in-use',
      });
    }
    finish(ANSWER);
    expect(await first).toEqual({ answer: ANSWER, replayed: false });
    expect(clock.pending).toBe(0);
  });

  it('is given back when the work fails and nothing is to be kept', async () => {
    const { clock, idempotency } = open();
    const fail = async (): Promise<KeptAnswer> => {
      throw new Error('not sent');
    };
    await expect(idempotency.once(CREATE, fail, () => undefined)).rejects.toThrow('not sent');
    const other = { ...CREATE, fingerprint: 'y' };
    expect(await idempotency.once(other, async () => ANSWER, keepUnknown)).toMatchObject({ replayed: false });
    expect(clock.pending).toBe(0);
  });
});
