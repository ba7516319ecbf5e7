import { describe, expect, it } from '@jest/globals';
import type { Announcements, Listener } from '../database/announcements.js';
import type { MessageFinder } from '../nexudus/message.finder.js';
import { Metrics } from '../observability/metrics.js';
import { createLogger } from '../observability/json-logger.js';
import type { OperatorInfo } from '../observability/operator-info.js';
import type { Look, UnknownDeliveries } from './unknown.deliveries.js';
import { OutcomeFinder } from './outcome.finder.js';

const LOOK = { delivery: { id: 'x' }, number: 1, sought: {} } as Look;

/** A finder over a ledger with so many due, and over a Nexudus that is in that state. */
function scene(
  due: number,
  state: { isAble: boolean; isQuiet: boolean },
): {
  finder: OutcomeFinder;
  wake: () => void;
  overdueMs: number[];
} {
  let wake: Listener = () => undefined;
  const overdueMs: number[] = [];
  let left = due;
  const unknown = {
    take: (ms: number) => {
      overdueMs.push(ms);
      return Promise.resolve(left-- > 0 ? LOOK : undefined);
    },
    conclude: () => Promise.resolve('missing'),
  } as Partial<UnknownDeliveries> as UnknownDeliveries;
  const finder = new OutcomeFinder(
    unknown,
    {
      ...state,
      refusedForMs: 0,
      look: () => Promise.resolve({ kind: 'seen', matches: [], doubtful: [] }),
    } as Partial<MessageFinder> as MessageFinder,
    { state: 'off' },
    {
      on: (_channel: string, listener: Listener) => {
        wake = listener;
      },
    } as Partial<Announcements> as Announcements,
    createLogger('silent'),
    new Metrics(),
    { add: () => undefined } as Partial<OperatorInfo> as OperatorInfo,
  );
  return {
    finder,
    wake: () => {
      wake(undefined);
    },
    overdueMs,
  };
}

describe('a look', () => {
  it('follows another as long as some are due', async () => {
    const { finder, wake, overdueMs } = scene(2, { isAble: true, isQuiet: true });
    wake();
    // One round at a time.
    wake();
    await new Promise(setImmediate);
    expect(overdueMs).toEqual([0, 0, 0]);
    await finder.stop();
  });

  it('waits for quieter times, but not for ever', async () => {
    const { wake, overdueMs } = scene(0, { isAble: true, isQuiet: false });
    wake();
    await new Promise(setImmediate);
    expect(overdueMs).toEqual([5 * 60_000]);
  });

  it('is not begun while Nexudus would not answer it, nor when the process stops', async () => {
    const unable = scene(1, { isAble: false, isQuiet: true });
    unable.wake();
    const stopping = scene(1, { isAble: true, isQuiet: true });
    await stopping.finder.stop();
    stopping.wake();
    await new Promise(setImmediate);
    expect([...unable.overdueMs, ...stopping.overdueMs]).toEqual([]);
  });
});
