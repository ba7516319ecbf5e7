import { describe, expect, it } from '@jest/globals';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import { LEASE_MS, PgTokenLease } from './pg.token.lease.js';

const TAKEN = { kept: {}, formerEndedAtMs: undefined, fence: { name: 'row', number: 1 } };

/** A lease on a clock that is held; the database answers as it is told. */
function leaseOn(clock: VirtualClock, answer: { isHeld: boolean | undefined }): PgTokenLease {
  return new PgTokenLease(TAKEN, clock.nowMs(), () => Promise.resolve(answer.isHeld), clock);
}

async function pass(clock: VirtualClock, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 500) {
    clock.run(clock.nowMs() + 500);
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  }
}

describe('the lease on the token', () => {
  it('lasts as long as its holder lives and the database says so, and no longer', async () => {
    const clock = new VirtualClock();
    const answer: { isHeld: boolean | undefined } = { isHeld: true };
    const lease = leaseOn(clock, answer);
    await pass(clock, 10 * LEASE_MS);
    expect(lease.isHeld).toBe(true);
    answer.isHeld = false;
    await pass(clock, LEASE_MS / 2);
    expect(lease.isHeld).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('is over for one that was frozen, before it asks anybody', () => {
    const clock = new VirtualClock();
    const lease = leaseOn(clock, { isHeld: true });
    lease.stopExtending();
    clock.run(LEASE_MS - 1);
    expect(lease.isHeld).toBe(true);
    clock.run(LEASE_MS);
    expect(lease.isHeld).toBe(false);
  });

  it('is neither longer nor shorter while the database is away', async () => {
    const clock = new VirtualClock();
    const lease = leaseOn(clock, { isHeld: undefined });
    expect(await lease.confirm()).toBe(false);
    await pass(clock, LEASE_MS - 500);
    expect(lease.isHeld).toBe(true);
    await pass(clock, 500);
    expect(lease.isHeld).toBe(false);
  });
});
