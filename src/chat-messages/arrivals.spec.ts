import { describe, expect, it } from '@jest/globals';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Deliveries } from '../ledger/deliveries.js';
import { Deadline } from '../nexudus/deadline.js';
import { Arrivals } from './arrivals.js';
import type { Write } from './work-record.js';

const WRITE: Write = {
  operation: 'create',
  message: { businessId: 1, content: 'Hello', action: 'operator', sessionId: 42 },
  caller: { kind: 'api-key', id: 'reception', businesses: '*' },
  key: undefined,
};

describe('a write whose former does not get its place', () => {
  it('waits no longer than its caller does, and is not overtaken for that', async () => {
    const clock = new VirtualClock();
    const arrivals = new Arrivals({} as Deliveries);
    const begun: string[] = [];
    let enter = (): void => undefined;
    const come = (name: string, waitMs: number): Promise<string> =>
      arrivals.inOrder(WRITE, new Deadline(clock, waitMs), (entered) => {
        begun.push(name);
        if (name !== 'first') return Promise.resolve(name);
        enter = entered;
        return new Promise(() => undefined);
      });
    void come('first', 25_000);
    const late = come('second', 4_000).catch((error: unknown) => error);
    const last = come('third', 25_000);
    clock.run(3_000);
    expect(await late).toBeInstanceOf(DatabaseUnavailable);
    expect(begun).toEqual(['first']);
    enter();
    expect(await last).toBe('third');
    expect(begun).toEqual(['first', 'third']);
  });
});
