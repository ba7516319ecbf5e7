import { describe, expect, it } from '@jest/globals';
import { check } from './checker.js';
import type { History, LedgerRow, Message, Request } from './history.js';

// What the drill proves is worth as much as this: that it notices when a promise is not kept.

type Call = History['calls'][number];

const request = (atMs: number, status: number, body: Record<string, unknown>): Request => ({
  replica: 'a1',
  method: 'POST',
  atMs,
  endedAtMs: atMs + 10,
  answer: { status, body, text: JSON.stringify(body), replayed: false, retryAfterMs: undefined },
});
const unheard = (atMs: number): Request => ({ replica: 'a1', method: 'POST', atMs, failure: 'ECONNRESET' });
const created = (atMs: number, id: number): Request => request(atMs, 201, { id });
const accepted = (atMs: number, id: string): Request => request(atMs, 202, { id });
const problem = (atMs: number, status: number, outcome: string, slug = 'x'): Request =>
  request(atMs, status, { type: `/problems/${slug}`, outcome });

const message = (content: string, requests: Request[], more: Partial<Message> = {}): Message => ({
  content,
  client: 'session 1',
  caller: 'kiosk',
  operation: 'create',
  path: '/v1/chat-messages',
  sessionId: 1,
  order: 'session 1',
  mode: 'sync',
  key: undefined,
  requests,
  ...more,
});
const call = (seq: number, content: string, more: Partial<Call> = {}): Call => ({
  seq,
  receivedAtMs: seq,
  method: 'POST',
  path: '/api/sys/openaichatmessages',
  json: { Content: content },
  status: 200,
  executed: true,
  throttled: false,
  ...more,
});
const row = (id: string, state: string, more: Partial<LedgerRow> = {}): LedgerRow => ({
  id,
  operation: 'create',
  mode: 'async',
  state,
  attempts: 1,
  messageId: state === 'done' ? 1 : undefined,
  mergedInto: undefined,
  settledAtMs: 100,
  ...more,
});
const history = (more: Partial<History>): History => ({
  messages: [],
  calls: [],
  records: new Map([[1, { Id: 1, Content: 'one' }]]),
  settled: [],
  ledger: [],
  disturbances: [],
  scriptedThrottles: 0,
  ...more,
});
const killed = [{ replica: 'a1', what: 'SIGKILL', atMs: 5, untilMs: 5 }];

describe('a history in which every promise was kept', () => {
  it.each<[string, Partial<History>]>([
    ['a message is created', { messages: [message('one', [created(1, 1)])], calls: [call(1, 'one')] }],
    [
      'one is accepted and done',
      {
        messages: [message('one', [accepted(1, 'd1')], { mode: 'async' })],
        calls: [call(2, 'one')],
        ledger: [row('d1', 'done')],
      },
    ],
    ['one is refused', { messages: [message('one', [problem(1, 429, 'not-sent')])] }],
    [
      'one is unknown, since its replica was killed',
      { messages: [message('one', [problem(1, 502, 'unknown')])], disturbances: killed },
    ],
    [
      'one is unknown, since it was sent when the wait of its caller was nearly over',
      {
        messages: [message('one', [{ ...problem(1, 502, 'unknown'), endedAtMs: 6_001 }])],
        calls: [call(3_001, 'one', { status: 'none' })],
      },
    ],
    [
      'one is unknown, since nobody read its answer when the wait of its caller was over',
      {
        messages: [message('one', [{ ...problem(1, 504, 'unknown', 'upstream-timeout'), endedAtMs: 6_001 }])],
        calls: [call(3_001, 'one')],
      },
    ],
    [
      'one was unknown when all was settled, and is found out after its page was read',
      {
        messages: [
          message('one', [accepted(1, 'd1')], {
            mode: 'async',
            followed: request(9, 200, { id: 'd1', state: 'unknown' }),
          }),
        ],
        calls: [call(1, 'one')],
        settled: [row('d1', 'unknown')],
        ledger: [row('d1', 'done')],
      },
    ],
    [
      'one was unknown when all was settled, and is sent again since it is missing',
      {
        messages: [message('one', [accepted(1, 'd1')], { mode: 'async' })],
        settled: [row('d1', 'unknown')],
        ledger: [row('d1', 'accepted')],
      },
    ],
    [
      'one is sent again after a later one of its session, since it was unknown and is missing',
      {
        messages: [
          message('two', [accepted(1, 'd2')], { mode: 'async' }),
          message('one', [accepted(20, 'd1')], { mode: 'async' }),
        ],
        calls: [call(21, 'one'), call(99, 'two')],
        settled: [row('d2', 'unknown'), row('d1', 'done')],
        ledger: [row('d2', 'sending', { attempts: 2, settledAtMs: undefined }), row('d1', 'done')],
        // After the client of the first one has heard of it.
        disturbances: [{ replica: 'a1', what: 'SIGKILL', atMs: 15, untilMs: 15 }],
      },
    ],
    [
      'one was answered before that was written down, its replica was killed, and a repeat finds it unknown',
      {
        messages: [
          message('one', [{ ...created(1, 1), endedAtMs: 1_005 }], {
            key: 'k',
            repeated: problem(2_000, 502, 'unknown'),
          }),
        ],
        calls: [call(2, 'one')],
        disturbances: [{ replica: 'a1', what: 'SIGKILL', atMs: 1_010, untilMs: 1_010 }],
      },
    ],
    [
      'a replace was answered before that was written down, its replica was killed, and a repeat is sent',
      {
        messages: [
          message('one', [{ ...created(1, 1), endedAtMs: 1_005 }], {
            operation: 'replace',
            key: 'k',
            repeated: request(2_000, 200, { id: 1, updatedAt: 'later' }),
          }),
          message('two', [created(1_100, 1)], { operation: 'replace' }),
        ],
        calls: [call(2, 'one'), call(1_101, 'two'), call(2_001, 'one')],
        disturbances: [{ replica: 'a1', what: 'SIGKILL', atMs: 1_010, untilMs: 1_010 }],
      },
    ],
    [
      'one without a key was not heard of again',
      { messages: [message('one', [unheard(1)])], calls: [call(2, 'one')] },
    ],
    [
      'one was heard at the second request only',
      {
        messages: [message('one', [unheard(1), created(20, 1)], { key: 'k' })],
        calls: [call(2, 'one')],
      },
    ],
    [
      'a replace is sent twice in a row',
      {
        messages: [
          message('one', [created(1, 1)], { operation: 'replace' }),
          message('two', [created(9, 1)], { operation: 'replace' }),
        ],
        calls: [call(1, 'one'), call(2, 'one'), call(10, 'two')],
      },
    ],
  ])('has no fault: %s', (_, given) => {
    expect(check(history(given))).toEqual([]);
  });
});

describe('a promise that was not kept is noticed', () => {
  it.each<[string, string, Partial<History>]>([
    [
      'nothing twice',
      'created twice',
      { messages: [message('one', [created(1, 1)])], calls: [call(1, 'one'), call(2, 'one')] },
    ],
    [
      'nothing twice',
      'a repeat after the end is sent',
      {
        messages: [
          message('one', [created(1, 1)], { operation: 'replace', key: 'k', repeated: created(50, 1) }),
        ],
        calls: [call(1, 'one'), call(51, 'one')],
      },
    ],
    [
      'nothing twice',
      'two deliveries done as one message',
      { ledger: [row('d1', 'done'), row('d2', 'done')] },
    ],
    [
      'nothing lost',
      'accepted, and not in the ledger',
      { messages: [message('one', [accepted(1, 'd1')], { mode: 'async' })] },
    ],
    [
      'done means written',
      'answered 201, and Nexudus has another message of that id',
      { messages: [message('two', [created(1, 1)])], calls: [call(1, 'two')] },
    ],
    [
      'done means written',
      'answered 201, and never written',
      { messages: [message('one', [created(1, 1)])] },
    ],
    [
      'done means written',
      'done in the ledger, and never written',
      {
        messages: [message('one', [accepted(1, 'd1')], { mode: 'async' })],
        ledger: [row('d1', 'done')],
      },
    ],
    [
      'done means written',
      'done as a message that is not there',
      { ledger: [row('d1', 'done', { messageId: 7 })] },
    ],
    [
      'not-sent means not written',
      'refused, and written',
      { messages: [message('one', [problem(1, 503, 'not-sent')])], calls: [call(1, 'one')] },
    ],
    [
      'not-sent means not written',
      'rejected, and written',
      { messages: [message('one', [problem(1, 422, 'rejected')])], calls: [call(1, 'one')] },
    ],
    [
      'not-sent means not written',
      'expired, and written',
      {
        messages: [message('one', [accepted(1, 'd1')], { mode: 'async' })],
        ledger: [row('d1', 'expired')],
        calls: [call(1, 'one')],
      },
    ],
    [
      'not-sent means not written',
      'cancelled, and done',
      {
        messages: [
          message('one', [accepted(1, 'd1')], { mode: 'async', cancel: request(2, 200, { id: 'd1' }) }),
        ],
        ledger: [row('d1', 'done')],
        calls: [call(3, 'one')],
      },
    ],
    [
      'unknown is honest',
      'unknown out of the blue',
      { messages: [message('one', [problem(1, 502, 'unknown')])], calls: [call(1, 'one')] },
    ],
    [
      'unknown is honest',
      'unknown though there was time enough for the answer',
      {
        messages: [message('one', [{ ...problem(1, 502, 'unknown'), endedAtMs: 6_001 }])],
        calls: [call(3_000, 'one', { status: 'none' })],
      },
    ],
    [
      'unknown is honest',
      'unknown though it was answered at the last moment',
      {
        messages: [message('one', [{ ...problem(1, 502, 'unknown'), endedAtMs: 6_001 }])],
        calls: [call(3_001, 'one')],
      },
    ],
    [
      'unknown is honest',
      'timed out though there was time enough to read the answer',
      {
        messages: [message('one', [{ ...problem(1, 504, 'unknown', 'upstream-timeout'), endedAtMs: 6_001 }])],
        calls: [call(3_000, 'one')],
      },
    ],
    [
      'unknown is honest',
      'unknown long after the only disturbance',
      { messages: [message('one', [problem(1_000, 502, 'unknown')])], disturbances: killed },
    ],
    [
      'in order',
      'the second one of a session first',
      {
        messages: [message('one', [created(1, 1)]), message('two', [accepted(9, 'd2')], { mode: 'async' })],
        calls: [call(1, 'two'), call(2, 'one')],
        ledger: [row('d2', 'done', { messageId: 2 })],
        records: new Map([
          [1, { Id: 1, Content: 'one' }],
          [2, { Id: 2, Content: 'two' }],
        ]),
      },
    ],
    [
      'in order',
      'an earlier replace once more after a later one',
      {
        messages: [
          message('one', [created(1, 1)], { operation: 'replace' }),
          message('two', [created(9, 1)], { operation: 'replace' }),
        ],
        calls: [call(1, 'one'), call(2, 'two'), call(3, 'one')],
      },
    ],
    ['no window exceeded', 'throttled', { calls: [call(1, 'one', { throttled: true, executed: false })] }],
    [
      'settled in time',
      'accepted, and still waiting at the end',
      {
        messages: [message('one', [accepted(1, 'd1')], { mode: 'async' })],
        ledger: [row('d1', 'accepted')],
      },
    ],
    [
      'settled in time',
      'a row that no client knows of is still being sent',
      { ledger: [row('d1', 'sending')] },
    ],
    [
      'settled in time',
      'a key that stays in use',
      { messages: [message('one', [problem(1, 409, 'not-sent', 'idempotency-key-in-use')], { key: 'k' })] },
    ],
    [
      'same key, same answer',
      'another body to the same key',
      {
        messages: [message('one', [created(1, 1)], { key: 'k', repeated: request(9, 201, { id: 1, x: 1 }) })],
        calls: [call(1, 'one')],
      },
    ],
    [
      'same key, same answer',
      'done, and unknown when it is asked again',
      {
        messages: [message('one', [created(1, 1)], { key: 'k', repeated: problem(9, 502, 'unknown') })],
        calls: [call(1, 'one')],
      },
    ],
    [
      'same key, same answer',
      'done, and unknown when it is asked again, though there was time to write it down',
      {
        messages: [message('one', [created(1, 1)], { key: 'k', repeated: problem(90, 502, 'unknown') })],
        calls: [call(1, 'one')],
        disturbances: [{ replica: 'a1', what: 'SIGKILL', atMs: 20, untilMs: 20 }],
      },
    ],
    [
      'nothing twice',
      'a replace that another replica was killed after is sent by a repeat',
      {
        messages: [
          message('one', [{ ...created(1, 1), endedAtMs: 1_005 }], {
            operation: 'replace',
            key: 'k',
            repeated: created(2_000, 1),
          }),
        ],
        calls: [call(2, 'one'), call(2_001, 'one')],
        disturbances: [{ replica: 'b1', what: 'SIGKILL', atMs: 1_010, untilMs: 1_010 }],
      },
    ],
    [
      'same key, same answer',
      'a page that says something else than the ledger',
      {
        messages: [
          message('one', [accepted(1, 'd1')], {
            mode: 'async',
            followed: request(9, 200, { id: 'd1', state: 'unknown' }),
          }),
        ],
        calls: [call(1, 'one')],
        settled: [row('d1', 'done')],
        ledger: [row('d1', 'done')],
      },
    ],
    [
      'same key, same answer',
      'a page that says for good what the ledger does not',
      {
        messages: [
          message('one', [accepted(1, 'd1')], {
            mode: 'async',
            followed: request(9, 200, { id: 'd1', state: 'expired' }),
          }),
        ],
        calls: [call(1, 'one')],
        settled: [row('d1', 'unknown')],
        ledger: [row('d1', 'done')],
      },
    ],
  ])('%s: %s', (promise, _, given) => {
    expect(check(history(given)).map((fault) => fault.promise)).toEqual(expect.arrayContaining([promise]));
  });
});
