import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NEXT_TICKET } from '../src/fleet/gate.js';
import { STANDINGS } from '../src/fleet/pg.delivery.line.js';
import { Deadline } from '../src/nexudus/deadline.js';
import { QuotaExhausted } from '../src/nexudus/nexudus.errors.js';
import { TestPostgres } from './support/postgres.js';
import { slotOf, TestReplica } from './support/replica.js';
import { until } from './support/until.js';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const ANSWERED = { kind: 'answered' } as const;

/** The log of calls, as `kind` of each event in order. */
async function events({ database }: TestReplica): Promise<unknown[]> {
  return (await database.query('select kind from bff.quota_event order by seq')).map(({ kind }) => kind);
}

/** Resolves when so many of the line want a slot. */
async function wanting({ database }: TestReplica, count: number): Promise<void> {
  while ((await database.query("select 1 from bff.line where state = 'wants'")).length < count);
}

describe('the line of all replicas', () => {
  it('hands a slot that one frees to another that waits, at once', async () => {
    const url = await postgres.createDatabase();
    const [one, two] = [await TestReplica.start(url), await TestReplica.start(url)];
    const [first, second] = [await one.admit({ session: 's' }), await two.admit({ session: 's' })];
    const slot = await slotOf(first);
    const next = slotOf(second);
    await wanting(one, 1);
    // It does not look by itself any more.
    two.freeze();
    slot.end(ANSWERED);
    first.leave();
    await next;
  });

  it('frees what a replica held that is gone', async () => {
    const url = await postgres.createDatabase();
    const limits = '1/200ms';
    const [gone, other] = [await TestReplica.start(url, limits), await TestReplica.start(url, limits)];
    expect((await slotOf(await gone.admit({ session: 's' }))).isHeld).toBe(true);
    const waiting = slotOf(await other.admit({ session: 's' }));
    await gone.kill();
    expect((await waiting).isHeld).toBe(true);
    expect(await events(other)).toEqual(['write', 'unanswered', 'write']);
  });

  it('lets nothing be sent by a replica that was frozen past its lease', async () => {
    const url = await postgres.createDatabase();
    const [frozen, other] = [await TestReplica.start(url), await TestReplica.start(url)];
    const place = await frozen.admit({ session: 's' });
    const slot = await slotOf(place);
    const behind = slotOf(await other.admit({ session: 's' }));
    frozen.freeze();
    await behind;
    // It wakes up: it does not know yet, but its clock does.
    expect(slot.isHeld).toBe(false);
    frozen.clock.isFrozen = false;
    slot.end(ANSWERED);
    await expect(slotOf(place)).rejects.toThrow('The database is not available');
    // It lives on under another name, and ends nothing that was ended for it.
    expect((await slotOf(await frozen.admit())).isHeld).toBe(true);
    expect(await events(other)).toEqual(['write', 'unanswered', 'write', 'write']);
    expect(frozen.errors).toEqual([]);
  });

  it('goes by the clock of the database alone', async () => {
    const url = await postgres.createDatabase();
    const limits = '1/1h';
    const [one, two] = [await TestReplica.start(url, limits), await TestReplica.start(url, limits)];
    const place = await one.admit();
    (await slotOf(place)).end(ANSWERED);
    place.leave();
    await until(() => two.pacer.windows()[0]?.used === 1);
    two.clock.aheadMs = 4 * 3_600_000;
    two.pacer.windows();
    await expect(two.admit()).rejects.toBeInstanceOf(QuotaExhausted);
  });

  it('knows what was called before a replica came', async () => {
    const url = await postgres.createDatabase();
    const limits = '2/1h';
    const one = await TestReplica.start(url, limits);
    for (const end of [ANSWERED, { kind: 'not-sent' }] as const) {
      const place = await one.admit();
      (await slotOf(place)).end(end);
      place.leave();
    }
    await slotOf(await one.admit());
    const late = await TestReplica.start(url, limits);
    await expect(late.admit()).rejects.toBeInstanceOf(QuotaExhausted);
  });

  it('makes no call that it is not sure to have written down', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url);
    one.loseNextAnswer();
    await expect(one.admit({ session: 's' })).rejects.toThrow('The database is not available');
    // It was written down all the same, and is neither counted nor in the way.
    await slotOf(await one.admit({ session: 's' }));
    expect(await events(one)).toEqual(['write', 'not-sent', 'write']);
  });

  it('ends a call once, however often that had to be written down', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url);
    const place = await one.admit({ session: 's' });
    const slot = await slotOf(place);
    one.loseNextAnswer();
    slot.end(ANSWERED);
    place.leave();
    while ((await events(one)).length < 2);
    // What is lost may be the answer to this one, if the end was written down with what went before.
    const next = await one.admit({ session: 's' }).catch(() => one.admit({ session: 's' }));
    await slotOf(next);
    expect((await events(one)).filter((event) => event === 'answered')).toHaveLength(1);
  });

  it('forgets the calls that count nowhere any more, and none that has not ended', async () => {
    const one = await TestReplica.start(await postgres.createDatabase());
    await slotOf(await one.admit());
    const over = await one.admit();
    (await slotOf(over)).end(ANSWERED);
    over.leave();
    while ((await events(one)).length < 3);
    await one.database.query('update bff.quota_event set at_ms = at_ms - 1000000');
    while ((await events(one)).length > 1);
    expect(await one.database.query('select seq, call, kind from bff.quota_event')).toEqual([
      { seq: '1', call: '1', kind: 'write' },
    ]);
  });

  it('lets calls that are not writes go first', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url, 'off', '1/300ms');
    const first = await slotOf(await one.admit());
    const order: string[] = [];
    const write = slotOf(await one.admit()).then((slot) => {
      order.push('write');
      slot.end(ANSWERED);
    });
    const call = one.pacer.call(new Deadline(one.clock, 10_000)).then((slot) => {
      order.push('call');
      slot.end(ANSWERED);
    });
    await wanting(one, 2);
    first.end(ANSWERED);
    await Promise.all([write, call]);
    expect(order).toEqual(['call', 'write']);
  });
});

describe('a throttle that lasts longer than they wait', () => {
  it('is told at once to all who wait, whoever was throttled among them', async () => {
    const one = await TestReplica.start(await postgres.createDatabase(), '1/1s');
    const throttled = await one.admit();
    const slot = await slotOf(throttled);
    const others = [await one.admit(), await one.admit({ caller: 'another' })].map((place) => slotOf(place));
    const refusals = others.map((other) => expect(other).rejects.toBeInstanceOf(QuotaExhausted));
    const startedAtMs = Date.now();
    slot.end({ kind: 'throttled', retryAfterMs: 60_000 });
    await expect(slotOf(throttled)).rejects.toBeInstanceOf(QuotaExhausted);
    await Promise.all(refusals);
    expect(Date.now() - startedAtMs).toBeLessThan(10_000);
  });
});

describe('deliveries in the line', () => {
  it('wait for those before them, and have a slot when their turn comes', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url, '1/300ms');
    one.serve();
    expect(await one.enter('a')).toBe(1);
    await until(() => one.sent.length === 1);
    await one.enter('b');
    expect((await one.deliveries.standing('b'))?.position).toBe(1);
    expect(await one.deliveries.standing('a')).toBeUndefined();
    const [a] = one.sent;
    if (a === undefined) throw new Error('nothing was sent');
    expect(a.deliveryId).toBe('a');
    (await slotOf(a.place)).end(ANSWERED);
    a.place.leave();
    await until(() => one.sent.length === 2);
    expect(await events(one)).toEqual(['write', 'answered', 'write']);
  });

  it('are no part of how long somebody waits, which ends with the line', async () => {
    const url = await postgres.createDatabase();
    const [one, two] = [await TestReplica.start(url), await TestReplica.start(url)];
    const age = (ms: number): Promise<unknown> =>
      one.database.query("update bff.line set since_ms = since_ms - $1 where state = 'wants'", [ms]);
    const former = await one.admit({ session: 's' });
    await one.enter('a');
    await age(3_600_000);
    const next = slotOf(await two.admit({ session: 's' }));
    await age(60_000);
    for (const { pacer } of [one, two]) {
      await until(() => pacer.oldestWaitMs >= 60_000);
      expect(pacer.oldestWaitMs).toBeLessThan(3_600_000);
      expect(pacer.waiting).toBe(2);
    }
    former.leave();
    await next;
    for (const { pacer } of [one, two]) {
      await until(() => pacer.waiting === 1);
      expect(pacer.oldestWaitMs).toBe(0);
    }
  });

  it('go behind the writes of their session, and hold it up as long as they say', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url);
    one.serve();
    const former = await one.admit({ session: 's' });
    await one.enter('a', 's');
    const later = await one.admit({ session: 's' });
    expect(one.sent).toEqual([]);
    former.leave();
    await until(() => one.sent.length === 1);
    const leftAtMs = Date.now();
    await one.sent[0]?.place.leaveAfter(400);
    await slotOf(later);
    expect(Date.now() - leftAtMs).toBeGreaterThanOrEqual(400);
    expect(await events(one)).toEqual(['write', 'not-sent', 'write', 'not-sent', 'write']);
  });

  it('keep their place when they retreat, for whichever replica comes to it', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url);
    one.serve();
    await one.enter('a', 's');
    await one.enter('b', 's');
    await until(() => one.sent.length === 1);
    one.isAble = false;
    await one.sent[0]?.place.retreat(200);
    expect((await one.deliveries.standing('a'))?.position).toBe(1);
    one.isAble = true;
    one.deliveries.changed();
    await until(() => one.sent.length === 2);
    expect(one.sent.map(({ deliveryId }) => deliveryId)).toEqual(['a', 'a']);
  });

  it('are taken out while they wait, and not when they may be under way', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url);
    const former = await one.admit({ session: 's' });
    await one.enter('a', 's');
    await one.enter('b', 's');
    const withdraw = (id: string): Promise<boolean> =>
      one.database.transaction((transaction) => one.deliveries.withdraw(transaction, id));
    expect(await withdraw('a')).toBe(true);
    one.serve();
    former.leave();
    await until(() => one.sent.length === 1);
    expect(one.sent[0]?.deliveryId).toBe('b');
    expect(await withdraw('b')).toBe(false);
    expect(await withdraw('unheard of')).toBe(false);
  });

  it('give their place to a later one, unless that would overtake', async () => {
    const url = await postgres.createDatabase();
    const one = await TestReplica.start(url);
    await one.enter('a', 's');
    const replace = (id: string, by: string): Promise<boolean> =>
      one.database.transaction((transaction) => one.deliveries.replace(transaction, id, by));
    expect(await replace('a', 'b')).toBe(true);
    expect(await one.deliveries.standing('a')).toBeUndefined();
    expect((await one.deliveries.standing('b'))?.position).toBe(1);
    await one.admit({ session: 's' });
    expect(await replace('b', 'c')).toBe(false);
  });

  it('inherit the place of one that is under way when that leaves it, before whoever came after it', async () => {
    const one = await TestReplica.start(await postgres.createDatabase());
    one.serve();
    await one.enter('a', 's');
    await until(() => one.sent.length === 1);
    await one.enter('c', 's');
    await one.database.transaction((transaction) => one.deliveries.inherit(transaction, 'a', 'b'));
    expect(await one.deliveries.standing('b')).toBeUndefined();
    for (const n of [0, 1, 2]) {
      await until(() => one.sent.length === n + 1);
      one.sent[n]?.place.leave();
    }
    expect(one.sent.map(({ deliveryId }) => deliveryId)).toEqual(['a', 'b', 'c']);
    while ((await one.database.query('select 1 from bff.line')).length > 0);
  });

  it('are told where they stand, a page of them at once, however many stand there', async () => {
    const one = await TestReplica.start(await postgres.createDatabase(), '1/1h');
    const { database, deliveries } = one;
    // In bites, since no statement may take long.
    for (let from = 1; from < 20_000; from += 5_000) {
      await database.query(
        `insert into bff.line (seq, lane, caller, delivery_id, state, since_ms, due_ms)
          select n, 'lane ' || n % 2, 'caller', 'd' || n,
            case n % 10 when 0 then 'granted' when 1 then 'held' else 'wants' end, 0, 0
          from generate_series($1::integer, $1::integer + 4999) as n`,
        [from],
      );
    }
    await database.query(
      "insert into bff.lane values ('lane 0', 'caller', 1, 8000), ('lane 1', 'caller', 2, 8000)",
    );
    await database.query('analyze bff.line');
    const numbers = [2, 3, 4, 10, 11, 9_002, 9_003, 19_996, 19_998, 19_999];
    const standings = await deliveries.standings(numbers.map((number) => `d${number}`));
    // Of each ten, four of each lane wait; the lanes take turns.
    expect(numbers.map((number) => standings.get(`d${number}`)?.position)).toEqual([
      1,
      2,
      3,
      undefined,
      undefined,
      7_201,
      7_202,
      15_997,
      15_999,
      16_000,
    ]);
    for (const number of [4, 9_003, 19_998]) {
      const { position } = (await deliveries.standing(`d${number}`)) ?? {};
      expect(position).toBe(standings.get(`d${number}`)?.position);
    }
    // At either end no more is read than the page.
    for (const page of [
      [2, 4, 6],
      [19_994, 19_996, 19_998],
    ]) {
      const plan = await database.query<{ 'QUERY PLAN': string }>(
        `explain (analyze, format text) ${STANDINGS}`,
        [page.map((number) => `d${number}`)],
      );
      const lines = plan.map((line) => line['QUERY PLAN']).join('\n');
      expect(lines).not.toContain('Seq Scan on line');
      const looked = [...lines.matchAll(/rows=(\d+)(?:\.\d+)? loops=\d+\)/g)].map(([, rows]) => Number(rows));
      expect([lines, Math.max(...looked) <= 10]).toEqual([lines, true]);
    }
  });

  it('of a replica that is gone wait for what the ledger says', async () => {
    const url = await postgres.createDatabase();
    const [gone, other] = [await TestReplica.start(url), await TestReplica.start(url)];
    gone.serve();
    await gone.enter('a', 's');
    await until(() => gone.sent.length === 1);
    other.serve();
    const behind = slotOf(await other.admit({ session: 's' }));
    await gone.kill();
    const hold = (): Promise<boolean> =>
      other.database.transaction((transaction) => other.deliveries.hold(transaction, 'a', 300));
    while (!(await hold()));
    other.deliveries.changed();
    await behind;
    expect(other.sent).toEqual([]);
    expect((await events(other)).slice(0, 2)).toEqual(['write', 'unanswered']);
  });

  it('cost the next no more, however many stand behind it', async () => {
    const one = await TestReplica.start(await postgres.createDatabase(), '1/1h');
    const { database } = one;
    // In bites, since no statement may take long.
    for (let from = 1; from < 200_000; from += 5_000) {
      await database.query(
        `insert into bff.line
            (seq, lane, caller, delivery_id, session, after_session, state, since_ms, due_ms)
          select n, 'lane ' || n % 10, 'caller', 'd' || n, 's' || n / 100, nullif(n - n % 100, n), 'wants', 0, 0
            from generate_series($1::integer, $1::integer + 4999) as n`,
        [from],
      );
    }
    await database.query('analyze bff.line');
    const plan = await database.query<{ 'QUERY PLAN': string }>(
      `explain (analyze, format text) ${NEXT_TICKET.replace('$1', "array['lane 1', 'lane 0']")}`,
    );
    const lines = plan.map((line) => line['QUERY PLAN']).join('\n');
    expect(lines).toContain('line_next');
    expect(lines).not.toContain('Seq Scan');
    // No more rows were looked at than lanes were asked for.
    const looked = [...lines.matchAll(/rows=(\d+)(?:\.\d+)? loops=\d+\)/g)].map(([, rows]) => Number(rows));
    expect(Math.max(...looked)).toBeLessThanOrEqual(2);
  });
});
