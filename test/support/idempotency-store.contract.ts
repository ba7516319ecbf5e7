import { describe, expect, it } from '@jest/globals';
import type { Claim, IdempotencyStore, KeptAnswer, Lease } from '../../src/idempotency/idempotency.store.js';

/** A store, and the hand on its clock. */
export interface StoreUnderTest {
  readonly store: IdempotencyStore;
  readonly pass: (ms: number) => void | Promise<void>;
  readonly ttlMs: number;
  /** What a test itself may take, where the store's time goes on by itself; else a millisecond. */
  readonly graceMs?: number;
}

/** Before a holder goes silent: the message may have been sent. A store without journals takes that for granted. */
const handOver = async (lease: Lease): Promise<Lease> => {
  await lease.journal?.sending(1);
  return lease;
};

export const ANSWER: KeptAnswer = {
  status: 201,
  contentType: 'application/json',
  location: '/v1/chat-messages/1',
  body: '{"id":1,"content":"\ud83d\ude00\u2028"}',
  outcome: 'done',
  problem: undefined,
};
const UNKNOWN: KeptAnswer = { ...ANSWER, status: 502, location: undefined, problem: 'upstream-failure' };
const LEASE_MS = 30_000;

/** The lease of a claim, which must be one that got it. */
export function leaseOf(claim: Claim): Lease {
  if (claim.kind !== 'claimed') throw new Error(`the key is ${claim.kind}`);
  return claim.lease;
}

/** What every store of idempotency keys promises. */
export function describeIdempotencyStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the promises of every store:`, () => {
    const claim = (store: IdempotencyStore, scope = 'a', body = 'x'): Promise<Claim> =>
      store.claim(scope, body, LEASE_MS);

    it('of many claims at once, one gets the lease', async () => {
      const { store } = await open();
      const claims = await Promise.all(Array.from({ length: 20 }, () => claim(store)));
      expect(claims.map(({ kind }) => kind).sort()).toEqual([
        'claimed',
        ...Array<string>(19).fill('running'),
      ]);
      expect(claims.find(({ kind }) => kind === 'claimed')).toMatchObject({ takenOver: false });
    });

    it('another scope is another key', async () => {
      const { store } = await open();
      leaseOf(await claim(store, 'a'));
      leaseOf(await claim(store, 'b'));
    });

    it('a settled answer comes again as it was', async () => {
      const { store } = await open();
      await store.settle(leaseOf(await claim(store)), ANSWER, 'final');
      expect(await claim(store)).toEqual({ kind: 'settled', answer: ANSWER });
      expect(await claim(store)).toEqual({ kind: 'settled', answer: ANSWER });
    });

    it('so does an unknown one', async () => {
      const { store } = await open();
      await store.settle(leaseOf(await claim(store)), UNKNOWN, 'unknown');
      expect(await claim(store)).toEqual({ kind: 'settled', answer: UNKNOWN });
    });

    it('another body is refused, while it runs and after', async () => {
      const { store } = await open();
      const lease = leaseOf(await claim(store, 'a', 'x'));
      expect(await claim(store, 'a', 'y')).toEqual({ kind: 'reused' });
      await store.settle(lease, ANSWER, 'final');
      expect(await claim(store, 'a', 'y')).toEqual({ kind: 'reused' });
      expect(await claim(store, 'a', 'x')).toMatchObject({ kind: 'settled' });
    });

    it('a released key is as if it had never been used', async () => {
      const { store } = await open();
      await store.release(leaseOf(await claim(store, 'a', 'x')));
      expect(await claim(store, 'a', 'y')).toMatchObject({ kind: 'claimed', takenOver: false });
    });

    it.each(['final', 'unknown'] as const)('a %s answer is kept for its time to live', async (certainty) => {
      const { store, pass, ttlMs, graceMs = 1 } = await open();
      await store.settle(leaseOf(await claim(store, 'a', 'x')), ANSWER, certainty);
      await pass(ttlMs - graceMs);
      expect(await claim(store, 'a', 'x')).toMatchObject({ kind: 'settled' });
      await pass(graceMs + 1);
      expect(await claim(store, 'a', 'y')).toMatchObject({ kind: 'claimed', takenOver: false });
    });

    it('a lease that is renewed holds on', async () => {
      const { store, pass, graceMs = 1 } = await open();
      const lease = leaseOf(await claim(store));
      for (let round = 0; round < 5; round += 1) {
        await pass(LEASE_MS - graceMs);
        expect(await store.renew(lease, LEASE_MS)).toBe(true);
      }
      await pass(LEASE_MS - graceMs);
      expect(await claim(store)).toEqual({ kind: 'running' });
    });

    it('one that is not renewed is taken over, by one, who is told so', async () => {
      const { store, pass } = await open();
      await handOver(leaseOf(await claim(store)));
      await pass(LEASE_MS + 1);
      const claims = await Promise.all([claim(store), claim(store)]);
      expect(claims.sort((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual([
        expect.objectContaining({ kind: 'claimed', takenOver: true }),
        { kind: 'running' },
      ]);
    });

    it('one that ended keeps its body: the key is never free', async () => {
      const { store, pass, ttlMs } = await open();
      await handOver(leaseOf(await claim(store, 'a', 'x')));
      await pass(LEASE_MS + 1);
      expect(await claim(store, 'a', 'y')).toEqual({ kind: 'reused' });
      await pass(ttlMs * 2);
      expect(await claim(store, 'a', 'x')).toMatchObject({ kind: 'claimed', takenOver: true });
    });

    it('a holder that was taken over can change nothing any more', async () => {
      const { store, pass } = await open();
      const late = await handOver(leaseOf(await claim(store)));
      await pass(LEASE_MS + 1);
      const present = leaseOf(await claim(store));
      expect(await store.renew(late, LEASE_MS)).toBe(false);
      expect(await store.settle(late, ANSWER, 'final')).toBe(false);
      await store.release(late);
      expect(await claim(store)).toEqual({ kind: 'running' });
      expect(await store.settle(present, UNKNOWN, 'unknown')).toBe(true);
      expect(await store.settle(late, ANSWER, 'final')).toBe(false);
      expect(await claim(store)).toEqual({ kind: 'settled', answer: UNKNOWN });
    });

    it('a holder whose lease ended unnoticed may still settle', async () => {
      const { store, pass } = await open();
      const lease = leaseOf(await claim(store));
      await pass(LEASE_MS + 1);
      expect(await store.settle(lease, ANSWER, 'final')).toBe(true);
      expect(await claim(store)).toMatchObject({ kind: 'settled' });
    });

    it('what is settled is not settled or released again', async () => {
      const { store } = await open();
      const lease = leaseOf(await claim(store));
      await store.settle(lease, ANSWER, 'final');
      expect(await store.settle(lease, UNKNOWN, 'unknown')).toBe(false);
      await store.release(lease);
      expect(await claim(store)).toEqual({ kind: 'settled', answer: ANSWER });
    });
  });
}
