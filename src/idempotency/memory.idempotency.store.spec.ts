import { describe, expect, it } from '@jest/globals';
import { ANSWER, describeIdempotencyStore, leaseOf } from '../../test/support/idempotency-store.contract.js';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import { MemoryIdempotencyStore } from './memory.idempotency.store.js';

const TTL_MS = 3_600_000;
const LEASE_MS = 30_000;

function open(bounds: { heldKeys?: number; answerBytes?: number } = {}): {
  clock: VirtualClock;
  store: MemoryIdempotencyStore;
} {
  const clock = new VirtualClock();
  clock.run(1_000);
  const store = new MemoryIdempotencyStore(
    { ttlMs: TTL_MS, heldKeys: 1_000, answerBytes: 2 ** 20, ...bounds },
    clock,
  );
  return { clock, store };
}

describeIdempotencyStore('the memory store', async () => {
  const { clock, store } = open();
  return {
    store,
    ttlMs: TTL_MS,
    pass: (ms) => {
      clock.run(clock.nowMs() + ms);
    },
  };
});

describe('the memory store is bounded:', () => {
  it('the least recently used of the final answers makes room', async () => {
    const { store } = open({ answerBytes: 100_000 });
    const body = 'x'.repeat(10_000);
    const keep = async (scope: string): Promise<void> => {
      const lease = leaseOf(await store.claim(scope, 'x', LEASE_MS));
      await store.settle(lease, { ...ANSWER, body }, 'final');
    };
    for (const scope of ['a', 'b', 'c', 'd']) await keep(scope);
    // Room for four; a replay is a use.
    expect((await store.claim('a', 'x', LEASE_MS)).kind).toBe('settled');
    await keep('e');
    expect((await store.claim('a', 'x', LEASE_MS)).kind).toBe('settled');
    expect((await store.claim('b', 'x', LEASE_MS)).kind).toBe('claimed');
  });

  it('what runs or is unknown is never forgotten: new keys are refused instead', async () => {
    const { store, clock } = open({ heldKeys: 2, answerBytes: 2_000 });
    const running = leaseOf(await store.claim('running', 'x', LEASE_MS));
    const unknown = leaseOf(await store.claim('unknown', 'x', LEASE_MS));
    await store.settle(unknown, ANSWER, 'unknown');
    const refusal = await store.claim('new', 'x', LEASE_MS);
    expect(refusal).toMatchObject({ kind: 'full' });
    expect((await store.claim('running', 'x', LEASE_MS)).kind).toBe('running');
    expect((await store.claim('unknown', 'x', LEASE_MS)).kind).toBe('settled');
    // Room comes back when one of them ends, or its time is over.
    await store.settle(running, ANSWER, 'final');
    leaseOf(await store.claim('new', 'x', LEASE_MS));
    expect((await store.claim('newer', 'x', LEASE_MS)).kind).toBe('full');
    clock.run(clock.nowMs() + TTL_MS + 1);
    leaseOf(await store.claim('newer', 'x', LEASE_MS));
  });
});
