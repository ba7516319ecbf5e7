import { describe, expect, it } from '@jest/globals';
import { SystemClock } from '../clock/clock.js';
import type { NexudusConfig } from '../config/sections.js';
import { createLogger } from '../observability/json-logger.js';
import type { AccessTokenSource } from './access-token.source.js';
import type { AccountRefusals } from './account.refusals.js';
import type { Circuit } from './circuit.js';
import { MessageFinder, type Sighting } from './message.finder.js';
import { QuotaExhausted } from './nexudus.errors.js';
import type { PacedCalls } from './paced-call.js';
import type { Pacer } from './pacer.js';
import type { UpstreamCall, WireAnswer, WireResult } from './wire.js';

const NOW_MS = Date.parse('2030-01-01T10:00:30Z');
const SOUGHT = {
  message: { BusinessId: 1, Action: 1, Content: 'x', UserId: 7 },
  sentAtMs: NOW_MS,
  endedAtMs: NOW_MS + 10_000,
  tag: 'the-tag',
};
const RECORD = {
  Id: 5,
  BusinessId: 1,
  Action: 1,
  Content: 'x',
  UserId: 7,
  AiChannelSessionId: null,
  CreatedOn: '2030-01-01T10:00:31Z',
  UpdatedOn: '2030-01-01T10:00:31',
};
const PAGE = { Records: [RECORD], HasNextPage: false, TotalItems: 1 };

class HeldClock extends SystemClock {
  override epochMs(): number {
    return NOW_MS;
  }
}

function answer(body: unknown, given: Partial<WireAnswer> = {}): WireAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const headers = { date: new Date(NOW_MS).toUTCString() };
  return { kind: 'answer', status: 200, headers, body: text, cutOffBy: undefined, ...given };
}

/** What a look shows when Nexudus answers like that, one after the other, and what was asked. */
async function look(
  results: readonly (WireResult | Error)[],
  pacer: Partial<Pacer> = { waiting: 0, pausedForMs: 0 },
): Promise<{ sighting: Sighting; finder: MessageFinder; calls: UpstreamCall[]; discarded: string[] }> {
  const left = [...results];
  const calls: UpstreamCall[] = [];
  const discarded: string[] = [];
  const finder = new MessageFinder(
    {
      perform: (makeCall) => {
        calls.push(makeCall());
        const result = left.shift() ?? new Error('one call too many');
        return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
      },
    } as Partial<PacedCalls> as PacedCalls,
    pacer as Pacer,
    {
      current: 'token',
      discard: (refused: string) => discarded.push(refused),
    } as unknown as AccessTokenSource,
    {} as AccountRefusals,
    { isOpen: false } as Circuit,
    { attemptTimeoutMs: 10_000 } as NexudusConfig,
    new HeldClock(),
    createLogger('silent'),
  );
  return { sighting: await finder.look(SOUGHT, false), finder, calls, discarded };
}

describe('a look at Nexudus', () => {
  it('asks for a range of whole minutes around the attempt, and for the user where there is no session', async () => {
    const { sighting, calls } = await look([answer(PAGE)]);
    expect(sighting).toMatchObject({ kind: 'seen', matches: [{ id: 5, updatedAt: '2030-01-01T10:00:31Z' }] });
    expect(calls.map(({ path }) => decodeURIComponent(path.split('?')[1] ?? ''))).toEqual([
      'OpenAiChatMessage_Business=1&OpenAiChatMessage_User=7' +
        '&from_OpenAiChatMessage_CreatedOn=2030-01-01T09:45&to_OpenAiChatMessage_CreatedOn=2030-01-01T10:15' +
        '&page=1&size=100',
    ]);
  });

  it('believes no list in which one record stands twice, and another one not at all', async () => {
    const first = answer({ ...PAGE, HasNextPage: true, TotalItems: 2 });
    const { sighting } = await look([first, answer({ ...PAGE, TotalItems: 2 })]);
    expect(sighting).toEqual({ kind: 'unclear', reason: 'incomplete' });
  });

  it.each<[string, WireResult | Error, Partial<Sighting>]>([
    [
      'a list with fewer records than it says',
      answer({ ...PAGE, TotalItems: 2 }),
      { kind: 'unclear', reason: 'incomplete' },
    ],
    [
      'a clock that is minutes off',
      answer(PAGE, { headers: { date: 'Tue, 01 Jan 2030 09:58:00 GMT' } }),
      { kind: 'unclear', reason: 'clocks' },
    ],
    [
      'more pages than it may cost',
      answer({ ...PAGE, HasNextPage: true, TotalItems: 1_001 }),
      { kind: 'unclear', reason: 'too-many' },
    ],
    ['half an answer', answer(PAGE, { cutOffBy: 'connection' }), { kind: 'not-looked', reason: 'no-answer' }],
    ['a page of the edge', answer('<html>'), { kind: 'not-looked', reason: 'no-answer' }],
    [
      'a record without an id',
      answer({ ...PAGE, Records: [{}] }),
      { kind: 'not-looked', reason: 'no-answer' },
    ],
    ['an error', answer({ Message: 'x' }, { status: 500 }), { kind: 'not-looked', reason: 'no-answer' }],
    [
      'no answer',
      { kind: 'no-answer', reason: 'timeout', cause: undefined },
      { kind: 'not-looked', reason: 'no-answer' },
    ],
    ['no quota', new QuotaExhausted(1_234), { kind: 'not-looked', reason: 'quota', againInMs: 1_234 }],
    ['a throttle', answer('', { status: 409 }), { kind: 'not-looked', reason: 'no-answer' }],
  ])('does not take %s for an empty list', async (_, result, expected) => {
    expect((await look([result])).sighting).toMatchObject(expected);
  });

  it('rests after a 403', async () => {
    const { sighting, finder } = await look([answer('Forbidden', { status: 403 })]);
    expect(sighting).toMatchObject({ kind: 'not-looked', reason: 'refused' });
    expect(finder.isAble).toBe(false);
    expect(finder.refusedForMs).toBeGreaterThan(800_000);
  });

  it('tries another token after a 401 before it asks about the role', async () => {
    const { sighting, finder, discarded } = await look([answer('', { status: 401 })]);
    expect(sighting).toMatchObject({ kind: 'not-looked', reason: 'no-token' });
    expect(discarded).toEqual(['token']);
    expect(finder.isAble).toBe(true);
  });

  it.each<[string, Partial<Pacer>, boolean]>([
    ['nothing waits', { pausedForMs: 0, waiting: 0 }, true],
    ['a throttle pauses all', { pausedForMs: 1, waiting: 0 }, false],
    ['writes wait for their windows', waitingWith('write', 60_000, 0), true],
    ['writes wait, and half of the calls are left', waitingWith('call', 60_000, 60), true],
    ['writes wait, and few of the calls are left', waitingWith('call', 60_000, 39), false],
    ['writes wait, and the next call may begin in a moment', waitingWith('call', 100, 0), true],
  ])('is quiet or not while %s', async (_, pacer, isQuiet) => {
    expect((await look([answer(PAGE)], pacer)).finder.isQuiet).toBe(isQuiet);
  });
});

/** Of 120. */
function waitingWith(kind: 'write' | 'call', periodMs: number, remaining: number): Partial<Pacer> {
  const window = { limit: 120, periodMs };
  const state = { kind, window, assumedLimit: 120, used: 120 - remaining, remaining, resetMs: 0 };
  return { pausedForMs: 0, waiting: 1, windows: () => [state] };
}
