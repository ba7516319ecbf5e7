import { describe, expect, it } from '@jest/globals';
import { BlockedDeliveries } from './blocked-deliveries.js';

const TRIES = Array.from({ length: 10 }, (_, index) => index);

describe('a delivery that is blocked in front of Nexudus', () => {
  it('is meant when others come through between its tries, ten times', () => {
    const passages = { count: 0 };
    const blocked = new BlockedDeliveries(passages);
    const meant = TRIES.map((count) => {
      passages.count = count;
      // In between nothing came through: that says nothing.
      return [blocked.isMeant('a'), blocked.isMeant('b')];
    });
    expect(meant.slice(0, 9).flat()).not.toContain(true);
    expect(meant[9]).toEqual([true, true]);
  });

  it('is not when nobody else comes through: it may be all', () => {
    const blocked = new BlockedDeliveries({ count: 7 });
    expect(Array.from({ length: 100 }, () => blocked.isMeant('a'))).not.toContain(true);
  });

  it('is not when a try in between ended otherwise', () => {
    const passages = { count: 0 };
    const blocked = new BlockedDeliveries(passages);
    const meant = [...TRIES, ...TRIES].map((count, index) => {
      passages.count = index;
      if (count === 5) blocked.forget('a');
      return blocked.isMeant('a');
    });
    expect(meant.indexOf(true)).toBe(14);
  });
});
