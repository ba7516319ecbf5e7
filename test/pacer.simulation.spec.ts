import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseWindows, type QuotaWindow } from '../src/config/windows.js';
import { Deadline } from '../src/nexudus/deadline.js';
import { QuotaExhausted } from '../src/nexudus/nexudus.errors.js';
import { MemoryPacer } from '../src/nexudus/memory.pacer.js';
import type { CallEnd, PacerLimits, Place, Slot } from '../src/nexudus/pacer.js';
import { Lifecycle } from '../src/observability/lifecycle.js';
import { SimulatedUpstream, type UpstreamModel } from './support/simulated-upstream.js';
import { VirtualClock } from './support/virtual-clock.js';

/** One message of a caller, as plain data. */
interface Message {
  readonly id: string;
  readonly atMs: number;
  readonly caller: string;
  readonly session?: string | undefined;
  readonly waitMs: number;
  /** Between admission and the wish for a slot: the client gets a token. */
  readonly tokenMs?: number;
  readonly hangUpAfterMs?: number | undefined;
}

interface Story {
  readonly write: string;
  readonly call: string;
  readonly reserveShare: number;
  readonly upstream: UpstreamModel;
  readonly messages: readonly Message[];
  /** Reads, and calls for the token. */
  readonly calls: readonly { readonly atMs: number; readonly waitMs: number }[];
}

type State = 'to-come' | 'turned-away' | 'token' | 'waiting' | 'under-way' | 'done' | 'refused' | 'hung-up';

interface Actor {
  readonly message: Message;
  state: State;
  deadline: Deadline;
  place: Place | undefined;
  attempts: number;
  seq: number;
  admittedAtMs: number;
  grantedAtMs: number[];
  refusedAtMs: number;
  retryAfterMs: number;
  /** The one of its session that was admitted before it. */
  former: Actor | undefined;
}

const ATTEMPTS = 4;

/** Plays a story against the real pacer; callers behave as `nexudus.client.ts` does. Notes each broken promise. */
class Play {
  readonly clock = new VirtualClock();
  readonly pacer: MemoryPacer;
  readonly upstream: SimulatedUpstream;
  readonly actors: Actor[];
  readonly faults: string[] = [];
  readonly granted: Actor[] = [];
  readonly callsRefused: number[] = [];
  /** When somebody joined the line, by caller: the only moments at which others may lose their turn. */
  readonly joins: { atMs: number; caller: string }[] = [];
  readonly throttledAtMs: number[] = [];
  #pausedUntilMs = -Infinity;
  #seq = 0;
  #callsOpen = 0;
  #underWay = 0;
  #probing = false;
  readonly #waiting = new Set<Actor>();
  readonly #lastOfSession = new Map<string, Actor>();
  /** For each waiting caller, how often each other had a slot since its own last one. */
  readonly #passed = new Map<string, Map<string, number>>();

  constructor(readonly story: Story) {
    this.pacer = new MemoryPacer(limitsOf(story), this.clock);
    this.upstream = new SimulatedUpstream(story.upstream, this.clock);
    this.actors = story.messages.map((message) => ({
      message,
      state: 'to-come',
      deadline: new Deadline(this.clock, message.waitMs, message.atMs),
      place: undefined,
      attempts: 0,
      seq: 0,
      admittedAtMs: NaN,
      grantedAtMs: [],
      refusedAtMs: NaN,
      retryAfterMs: NaN,
      former: undefined,
    }));
    for (const actor of this.actors) {
      this.clock.at(actor.message.atMs, () => {
        this.#arrive(actor);
      });
    }
  }

  /** To the end, when nothing is left to happen. Token calls are promises, so the microtasks get their turn. */
  async runAll(): Promise<this> {
    for (const { atMs, waitMs } of this.story.calls) {
      this.clock.at(atMs, () => {
        this.#call(atMs, waitMs);
      });
    }
    while (this.clock.step()) {
      if (this.#callsOpen > 0) for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
      this.#watch();
    }
    return this;
  }

  /** The same without calls in between. */
  run(untilMs = Infinity): this {
    while (this.clock.step(untilMs)) this.#watch();
    this.clock.run(untilMs);
    return this;
  }

  in(...states: State[]): Actor[] {
    return this.actors.filter(({ state }) => states.includes(state));
  }

  actor(id: string): Actor {
    const found = this.actors.find(({ message }) => message.id === id);
    if (found === undefined) throw new Error(`Nobody is called ${id}`);
    return found;
  }

  /** All that has to be true when all is over. */
  leaks(): string[] {
    const leaks = this.in('to-come', 'token', 'waiting', 'under-way').map(
      ({ message, state }) => `${message.id} is still ${state}`,
    );
    if (this.pacer.waiting > 0) leaks.push(`${this.pacer.waiting} wait`);
    if (this.clock.pending > 0) leaks.push(`${this.clock.pending} timers`);
    if (this.#callsOpen > 0) leaks.push(`${this.#callsOpen} calls`);
    this.clock.run(this.clock.nowMs() + 3 * 86_400_000);
    for (const { used, kind } of this.pacer.windows())
      if (used > 0) leaks.push(`${used} of a ${kind} window`);
    // A session that left something behind would hold its next message.
    for (const session of new Set(this.actors.map(({ message }) => message.session))) {
      const deadline = new Deadline(this.clock, 60_000);
      const place = this.pacer.admit({ caller: 'afterwards', session, deadline });
      const slots: Slot[] = [];
      place.requestSlot(
        (slot) => slots.push(slot),
        () => undefined,
      );
      if (slots.length === 0) leaks.push(`session ${String(session)}`);
      for (const slot of slots) slot.end({ kind: 'not-sent' });
      place.leave();
    }
    return leaks;
  }

  #arrive(actor: Actor): void {
    const { caller, session, tokenMs = 0, hangUpAfterMs } = actor.message;
    try {
      actor.place = this.pacer.admit({ caller, session, deadline: actor.deadline });
    } catch (error) {
      if (!(error instanceof QuotaExhausted)) throw error;
      actor.state = 'turned-away';
      actor.refusedAtMs = this.clock.nowMs();
      actor.retryAfterMs = error.retryAfterMs;
      if (!(error.retryAfterMs > 0)) this.#fault(`${actor.message.id}: Retry-After ${error.retryAfterMs}`);
      return;
    }
    actor.admittedAtMs = this.clock.nowMs();
    actor.seq = this.#seq += 1;
    actor.state = 'token';
    if (session !== undefined) {
      actor.former = this.#lastOfSession.get(session);
      this.#lastOfSession.set(session, actor);
    }
    if (tokenMs === 0) this.#request(actor);
    else {
      this.clock.at(this.clock.nowMs() + tokenMs, () => {
        if (actor.state === 'token') this.#request(actor);
      });
    }
    if (hangUpAfterMs === undefined) return;
    this.clock.at(this.clock.nowMs() + hangUpAfterMs, () => {
      if (actor.state === 'token' || actor.state === 'waiting') this.#leave(actor, 'hung-up');
    });
  }

  #request(actor: Actor): void {
    actor.state = 'waiting';
    this.#waiting.add(actor);
    this.joins.push({ atMs: this.clock.nowMs(), caller: actor.message.caller });
    actor.place?.requestSlot(
      (slot) => {
        this.#grant(actor, slot);
      },
      (error) => {
        if (actor.state !== 'waiting') this.#fault(`${actor.message.id} is refused while ${actor.state}`);
        actor.refusedAtMs = this.clock.nowMs();
        if ('retryAfterMs' in error) actor.retryAfterMs = error.retryAfterMs;
        this.#leave(actor, 'refused');
      },
    );
  }

  #grant(actor: Actor, slot: Slot): void {
    const { id, caller } = actor.message;
    if (actor.state !== 'waiting') this.#fault(`${id} gets a slot while ${actor.state}`);
    if (this.pacer.pausedForMs > 0) this.#fault(`${id} gets a slot in a pause`);
    if (!actor.deadline.allowsAttempt()) this.#fault(`${id} gets a slot too late`);
    this.#watchTurns(actor);
    actor.state = 'under-way';
    actor.attempts += 1;
    actor.grantedAtMs.push(this.clock.nowMs());
    this.#waiting.delete(actor);
    this.granted.push(actor);
    this.#passed.delete(caller);
    this.#send('write', `${id}.${actor.attempts}`, (end) => {
      slot.end(end);
      const again = end.kind === 'throttled' || (end.kind === 'not-sent' && actor.attempts < ATTEMPTS);
      if (again && actor.deadline.allowsAttempt()) this.#request(actor);
      else this.#leave(actor, 'done');
    });
  }

  #leave(actor: Actor, state: State): void {
    actor.state = state;
    this.#waiting.delete(actor);
    // Whoever has nothing left here comes in again as a newcomer.
    const { caller } = actor.message;
    if (![...this.#waiting].some(({ message }) => message.caller === caller)) this.#passed.delete(caller);
    actor.place?.leave();
  }

  #call(atMs: number, waitMs: number): void {
    this.#callsOpen += 1;
    const deadline = new Deadline(this.clock, waitMs);
    this.pacer.call(deadline).then(
      (slot) => {
        this.#callsOpen -= 1;
        if (!deadline.allowsAttempt()) this.#fault(`the call of ${atMs} gets a slot too late`);
        this.#send('call', `call ${atMs}`, (end) => {
          slot.end(end);
        });
      },
      (error: unknown) => {
        if (!(error instanceof QuotaExhausted)) throw error;
        this.#callsOpen -= 1;
        this.callsRefused.push(this.clock.nowMs());
        if (deadline.remainingMs() === 0) this.#fault(`the call of ${atMs} hears too late`);
      },
    );
  }

  /** After a throttle one call goes alone, until one that began since has been answered. */
  #send(on: 'write' | 'call', id: string, ended: (end: CallEnd) => void): void {
    const lastMs = this.throttledAtMs.at(-1) ?? -Infinity;
    if (this.#probing && this.#underWay > 0) this.#fault(`${id} goes beside the probe`);
    this.#underWay += 1;
    this.upstream.send(on, id, (end) => {
      this.#underWay -= 1;
      if (end.kind === 'throttled') {
        this.throttledAtMs.push(this.clock.nowMs());
        this.#probing = true;
      }
      if (end.kind === 'answered' && lastMs === (this.throttledAtMs.at(-1) ?? -Infinity))
        this.#probing = false;
      ended(end);
    });
  }

  #watchTurns(actor: Actor): void {
    const { id, caller } = actor.message;
    const former = whoHolds(actor);
    if (former) this.#fault(`${id} goes before ${former.message.id} of its session has ended`);
    const others = new Set<string>();
    for (const other of this.#waiting) {
      if (whoHolds(other)) continue;
      if (other.message.caller !== caller) others.add(other.message.caller);
      else if (other.seq < actor.seq) this.#fault(`${id} goes before ${other.message.id} of its caller`);
    }
    for (const waiting of this.#passed.keys()) if (!others.has(waiting)) this.#passed.delete(waiting);
    if (this.story.reserveShare > 0) return;
    for (const waiting of others) {
      const passed = this.#passed.get(waiting) ?? new Map<string, number>();
      this.#passed.set(waiting, passed);
      passed.set(caller, (passed.get(caller) ?? 0) + 1);
      if ((passed.get(caller) ?? 0) > 1) this.#fault(`${id} goes twice before ${waiting} goes once`);
    }
  }

  #watch(): void {
    this.#watchPause();
    const isIdle = this.pacer.waiting === 0 && this.#waiting.size === 0 && this.#callsOpen === 0;
    if (isIdle && this.clock.pending > 0) this.#fault(`${this.clock.pending} timers while nobody waits`);
  }

  #watchPause(): void {
    const untilMs = this.clock.nowMs() + this.pacer.pausedForMs;
    if (untilMs < this.#pausedUntilMs - 1e-6 && this.clock.nowMs() < this.#pausedUntilMs - 1e-6) {
      this.#fault(`the pause moves back from ${this.#pausedUntilMs} to ${untilMs}`);
    }
    if (this.pacer.pausedForMs > 0) this.#pausedUntilMs = untilMs;
  }

  #fault(what: string): void {
    this.faults.push(`at ${this.clock.nowMs()}: ${what}`);
  }
}

function isGone({ state }: Actor): boolean {
  return state === 'done' || state === 'refused' || state === 'hung-up';
}

/** Who of its session has to end before it may go. */
function whoHolds(actor: Actor): Actor | undefined {
  for (let former = actor.former; former; former = former.former) if (!isGone(former)) return former;
  return undefined;
}

function limitsOf({ write, call, reserveShare }: Story): PacerLimits {
  return { write: windowsOf(write), call: windowsOf(call), reserveShare };
}

function windowsOf(text: string): QuotaWindow[] {
  return parseWindows(text) ?? [];
}

/** A caller's wish, as plain data that shrinks well. */
interface Burst {
  readonly atMs: number;
  readonly caller: number;
  readonly count: number;
  readonly everyMs: number;
  readonly session: number | undefined;
  readonly waitMs: number;
  readonly tokenMs: number;
  readonly hangUpAfterMs: number | undefined;
}

const CALM: UpstreamModel = {
  seed: 1,
  windows: [],
  latencyMs: [100, 100],
  spikeMs: 0,
  spikes: 0,
  lost: 0,
  unconnected: 0,
  drift: 0,
  retryAfterMs: 1_000,
  foreign: [],
};
/** The most that one clock may run apart from the other. */
const MOST_DRIFT = 0.00049;
const DEFAULTS = { write: '60/1m,2500/1d', call: '1/100ms,120/1m,5000/1h' };
const WRITE_LIMITS = ['off', '1/100ms', '3/1s', '10/2s', '60/1m', '7/5s,20/30s', DEFAULTS.write];
const CALL_LIMITS = ['off', '1/100ms', '20/3s', '1/100ms,30/20s', DEFAULTS.call];

/** The upstream's windows for a story: the limits we know, each in a shape that we do not (`null` is sliding). */
function upstreamOf(
  limits: { write: string; call: string },
  offsets: readonly (number | null)[],
  model: Partial<UpstreamModel> = {},
): UpstreamModel {
  const windows = [
    ...windowsOf(limits.write).map((window) => ({ ...window, on: 'write' as const })),
    ...windowsOf(limits.call).map((window) => ({ ...window, on: 'call' as const })),
  ].map((window, index) => {
    const offset = offsets[index % Math.max(1, offsets.length)] ?? null;
    return {
      ...window,
      shape:
        offset === null
          ? { kind: 'sliding' as const }
          : { kind: 'fixed' as const, offsetMs: Math.floor(offset * window.periodMs) },
    };
  });
  return { ...CALM, ...model, windows };
}

function messagesOf(bursts: readonly Burst[]): Message[] {
  return bursts.flatMap(({ atMs, caller, count, everyMs, session, ...rest }, burst) =>
    Array.from({ length: count }, (_, index) => ({
      ...rest,
      id: `${burst}-${index}`,
      atMs: atMs + index * everyMs,
      caller: `caller ${caller}`,
      session: session === undefined ? undefined : `session ${session}`,
    })),
  );
}

/** Equal messages of many callers that are all there from the start, and have the time. */
function backlog(callers: number, each: number, waitMs = 1e9, more: Partial<Message> = {}): Message[] {
  return Array.from({ length: callers * each }, (_, index) => ({
    id: `m${index}`,
    atMs: 0,
    caller: `caller ${index % callers}`,
    waitMs,
    ...more,
  }));
}

function storyOf(limits: { write: string; call: string }, story: Partial<Story> = {}): Story {
  return {
    reserveShare: 0,
    upstream: upstreamOf(limits, [null]),
    messages: [],
    calls: [],
    ...limits,
    ...story,
  };
}

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });

const limitsArb = fc.record({
  write: fc.constantFrom(...WRITE_LIMITS),
  call: fc.constantFrom(...CALL_LIMITS),
});
const offsetsArb = fc.array(fc.option(fc.double({ min: 0, max: 0.999, noNaN: true })), {
  minLength: 1,
  maxLength: 5,
});

function burstArb(limit: Partial<Record<keyof Burst, fc.Arbitrary<unknown>>> = {}): fc.Arbitrary<Burst> {
  return fc.record({
    atMs: fc.integer({ min: 0, max: 90_000 }),
    caller: fc.integer({ min: 0, max: 4 }),
    count: fc.integer({ min: 1, max: 40 }),
    everyMs: fc.constantFrom(0, 1, 37, 500, 1_000),
    session: maybe(fc.integer({ min: 0, max: 3 })),
    waitMs: fc.constantFrom(300, 2_000, 8_000, 25_000, 120_000),
    tokenMs: fc.constantFrom(0, 0, 3, 250),
    hangUpAfterMs: maybe(fc.integer({ min: 0, max: 20_000 })),
    ...limit,
  }) as fc.Arbitrary<Burst>;
}

/** Everything at once: whatever the weather, what must hold holds. */
const weatherArb = fc.record({
  seed: fc.nat(1_000_000),
  least: fc.constantFrom(0, 1, 40, 200),
  spread: fc.constantFrom(0, 20, 400, 2_500),
  spikeMs: fc.constantFrom(0, 3_000, 9_000),
  spikes: fc.constantFrom(0, 2, 20),
  lost: fc.constantFrom(0, 0, 3, 20),
  unconnected: fc.constantFrom(0, 0, 5, 30),
  drift: fc.constantFrom(0, MOST_DRIFT, -MOST_DRIFT),
});

const eventfulArb = fc
  .record({
    limits: limitsArb,
    offsets: offsetsArb,
    weather: weatherArb,
    reserveShare: fc.constantFrom(0, 0, 0.1),
    bursts: fc.array(burstArb(), { minLength: 1, maxLength: 8 }),
    calls: fc.array(
      fc.record({ atMs: fc.integer({ min: 0, max: 90_000 }), waitMs: fc.constantFrom(1_000, 25_000) }),
      { maxLength: 5 },
    ),
  })
  .map(({ limits, offsets, weather: { least, spread, ...weather }, reserveShare, bursts, calls }) =>
    storyOf(limits, {
      reserveShare,
      upstream: upstreamOf(limits, offsets, { ...weather, latencyMs: [least, least + spread] }),
      messages: messagesOf(bursts),
      calls,
    }),
  );

/** Constant answer times that the pacer has seen once, and nothing that goes wrong: its forecasts have no excuse. */
function steadyArb(burst: Partial<Record<keyof Burst, fc.Arbitrary<unknown>>>): fc.Arbitrary<Story> {
  return fc
    .record({
      limits: limitsArb,
      latencyMs: fc.constantFrom(100, 250, 700),
      bursts: fc.array(
        burstArb({
          atMs: fc.integer({ min: 5_000, max: 60_000 }),
          tokenMs: fc.constant(0),
          hangUpAfterMs: fc.constant(undefined),
          ...burst,
        }),
        { minLength: 1, maxLength: 6 },
      ),
    })
    .map(({ limits, latencyMs, bursts }) =>
      storyOf(limits, {
        upstream: upstreamOf(limits, [null], { latencyMs: [latencyMs, latencyMs] }),
        messages: [
          { id: 'first', atMs: 0, caller: 'nobody', waitMs: 60_000 },
          ...messagesOf(bursts)
            .map((message) => ({
              ...message,
              session: message.session && `${message.caller} ${message.session}`,
            }))
            .sort((a, b) => a.atMs - b.atMs),
        ],
      }),
    );
}

/** What was there before this message came, and then this one alone, with other patience. */
function onlyUpTo(story: Story, id: string, changed: Partial<Message>): Story {
  const index = story.messages.findIndex((message) => message.id === id);
  const messages = story.messages.slice(0, index + 1);
  return {
    ...story,
    messages: messages.map((message) => (message.id === id ? { ...message, ...changed } : message)),
  };
}

/** The best that any sender can do that keeps a call in its window until its period after its answer. */
function idealEndMs(windows: readonly QuotaWindow[], count: number, latencyMs: number): number {
  const sent: number[] = [];
  for (let index = 0; index < count; index += 1) {
    let atMs = sent[index - 1] ?? 0;
    for (const { limit, periodMs } of windows) {
      // The margin that the counter's comment states, and the grain of a timer.
      const holdMs = periodMs * (1 + 1 / 2_000) + 1 + 1;
      if (index >= limit) atMs = Math.max(atMs, (sent[index - limit] ?? 0) + latencyMs + holdMs);
    }
    sent.push(atMs);
  }
  return sent.at(-1) ?? 0;
}

/** 1 when all have the same; 1/n when one has all. */
function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return (sum * sum) / (shares.length * squares);
}

const check = { seed: 20_250_115, endOnFailure: false };

describe('the pacer, whatever happens', () => {
  it('sends no call that is one too many, for any shape, alignment, latency and drift; keeps order and turns; leaks nothing', async () => {
    await fc.assert(
      fc.asyncProperty(eventfulArb, async (story) => {
        const play = await new Play(story).runAll();
        expect(play.upstream.throttled).toEqual([]);
        expect(play.faults).toEqual([]);
        expect(play.leaks()).toEqual([]);
      }),
      { ...check, numRuns: 1_500 },
    );
  });
});

describe('utilisation', () => {
  it.each([
    ['1/100ms', 'off', 40, 500],
    ['60/1m', 'off', 400, 600],
    ['10/2s', '20/3s', 150, 400],
    ['off', '1/100ms,30/20s', 60, 200],
    [DEFAULTS.write, DEFAULTS.call, 250, 600],
    ['5000/1d', 'off', 120, 10_000],
  ])(
    'of %s with %s is 99 %% of the possible and more while there is work',
    (write, call, latencyMs, count) => {
      const limits = { write, call };
      for (const callers of [1, 7]) {
        const play = new Play(
          storyOf(limits, {
            upstream: upstreamOf(limits, [null], { latencyMs: [latencyMs, latencyMs] }),
            messages: backlog(callers, Math.ceil(count / callers)),
          }),
        ).run();
        const sent = play.granted.length;
        const idealMs = idealEndMs([...windowsOf(write), ...windowsOf(call)], sent, latencyMs);
        const tookMs = Math.max(...play.granted.map(({ grantedAtMs }) => grantedAtMs.at(-1) ?? 0));
        expect(play.in('done').length).toBe(play.actors.length);
        expect(idealMs / tookMs).toBeGreaterThanOrEqual(0.99);
        expect(play.upstream.throttled).toEqual([]);
      }
    },
  );
});

describe('a burst', () => {
  it('goes out at once as far as the windows have room, and the rest as soon as they have', () => {
    const play = new Play(storyOf({ write: '60/1m', call: 'off' }, { messages: backlog(3, 25) })).run();
    const at = play.granted.map(({ grantedAtMs }) => grantedAtMs[0]);
    expect(at.slice(0, 60).every((atMs) => atMs === 0)).toBe(true);
    // A period after the answer of the first, and the margin of the clocks.
    expect(at.slice(60).every((atMs) => atMs === 60_131)).toBe(true);
    expect(at.length).toBe(75);
  });

  it('with the limits by default goes out as fast as one call in 100 ms allows', () => {
    const play = new Play(storyOf(DEFAULTS, { messages: backlog(3, 20) })).run(60_000);
    expect(play.granted.length).toBe(60);
    // 100 ms of answer time, 100 ms of window, 1.05 ms of margin up to the next whole millisecond.
    expect(play.granted.at(-1)?.grantedAtMs).toEqual([59 * 202]);
  });
});

describe('turns', () => {
  it.each([
    ['fifty equal callers', Array.from({ length: 50 }, () => 40)],
    ['one that floods beside modest ones', [2_000, ...Array.from({ length: 9 }, () => 60)]],
  ])('are even between busy callers, by any stretch of a few rounds: %s', (_, loads) => {
    const messages = loads.flatMap((load, caller) =>
      Array.from({ length: load }, (_unused, index) => ({
        id: `${caller}-${index}`,
        atMs: 0,
        caller: `caller ${caller}`,
        // Three in four belong to sessions, which must not cost a caller its turn.
        session: index % 4 === 0 ? undefined : `session ${caller} ${index % 4}`,
        waitMs: 1e9,
      })),
    );
    const play = new Play(storyOf({ write: '10/1s', call: 'off' }, { messages })).run();
    const busyUntil = Math.min(...loads) * loads.length;
    const stretch = loads.length * 5;
    let least = 1;
    // The very first slots go to whoever comes first, before there is a line.
    for (let from = 10; from + stretch <= busyUntil; from += 7) {
      const shares = new Map(loads.map((_load, caller) => [`caller ${caller}`, 0]));
      for (const { message } of play.granted.slice(from, from + stretch)) {
        shares.set(message.caller, (shares.get(message.caller) ?? 0) + 1);
      }
      least = Math.min(least, jainIndex([...shares.values()]));
    }
    expect(least).toBeGreaterThanOrEqual(0.95);
    expect(play.faults).toEqual([]);
    expect(play.in('done').length).toBe(messages.length);
  });
});

describe('promises', () => {
  it('are kept to a caller that nobody overtakes: whoever is admitted is sent', () => {
    fc.assert(
      fc.property(steadyArb({ caller: fc.constant(0), session: fc.constant(undefined) }), (story) => {
        const play = new Play(story).run();
        expect(play.in('refused').map(({ message }) => message)).toEqual([]);
        expect(play.faults).toEqual([]);
      }),
      { ...check, numRuns: 400 },
    );
  });

  it('are broken only at the moment when another one takes the turn, and not when the wait is over', () => {
    fc.assert(
      fc.property(steadyArb({}), (story) => {
        const play = new Play(story).run();
        const untold = play.in('refused').filter(({ refusedAtMs, seq, message: { caller } }) => {
          const joined = play.joins.some((join) => join.atMs === refusedAtMs && join.caller !== caller);
          // While it had to wait for its session, one that came later may have gone before it.
          const passed = play.granted.some(
            (other) => other.seq > seq && other.grantedAtMs[0] === refusedAtMs,
          );
          return !joined && !passed;
        });
        expect(untold.map(({ message, refusedAtMs }) => ({ ...message, refusedAtMs }))).toEqual([]);
        expect(play.faults).toEqual([]);
      }),
      { ...check, numRuns: 400 },
    );
  });

  it('are refused only to those who could not have been served in time', () => {
    let seen = 0;
    fc.assert(
      fc.property(steadyArb({ session: fc.constant(undefined) }), fc.nat(), (story, which) => {
        const refused = new Play(story).run().in('turned-away');
        const actor = refused[which % Math.max(1, refused.length)];
        if (actor === undefined) return;
        seen += 1;
        const { id, atMs, waitMs } = actor.message;
        const patient = new Play(onlyUpTo(story, id, { waitMs: 1e9 })).run().actor(id);
        const latestMs = atMs + waitMs - actor.deadline.minimumAttemptMs;
        // What is under way is taken to need a whole answer time from now on, each timer its whole millisecond.
        const toleranceMs = story.upstream.latencyMs[1] + 50;
        expect((patient.grantedAtMs[0] ?? Infinity) + toleranceMs).toBeGreaterThan(latestMs);
      }),
      { ...check, numRuns: 600 },
    );
    expect(seen).toBeGreaterThan(200);
  });

  it('that are refused come with a true Retry-After: whoever comes back then goes at once, if nobody else came', () => {
    let seen = 0;
    fc.assert(
      fc.property(steadyArb({}), fc.nat(), (story, which) => {
        const refused = new Play(story).run().in('turned-away');
        const actor = refused[which % Math.max(1, refused.length)];
        if (actor === undefined) return;
        seen += 1;
        const atMs = actor.refusedAtMs + actor.retryAfterMs;
        const back = new Play(onlyUpTo(story, actor.message.id, { atMs, waitMs: 1e9 })).run();
        // Who waits for the end of the former one of its session leaves its slot to another and takes a later one.
        const toleranceMs = 5 + story.upstream.latencyMs[1];
        expect(back.actor(actor.message.id).grantedAtMs[0] ?? Infinity).toBeLessThanOrEqual(
          atMs + toleranceMs,
        );
      }),
      { ...check, numRuns: 600 },
    );
    expect(seen).toBeGreaterThan(200);
  });
});

describe('a throttle', () => {
  it('pauses everybody, never for less than it said before, and one probe goes first; whatever else happens, nothing leaks', async () => {
    let throttled = 0;
    const foreignArb = fc.array(
      fc.record({
        fromMs: fc.integer({ min: 0, max: 60_000 }),
        untilMs: fc.integer({ min: 0, max: 200_000 }),
        perMinute: fc.constantFrom(5, 40, 600),
      }),
      { minLength: 1, maxLength: 2 },
    );
    const retryAfterArb = fc.constantFrom(undefined, 0, 1_000, 30_000);
    await fc.assert(
      fc.asyncProperty(eventfulArb, foreignArb, retryAfterArb, async (calm, foreign, retryAfterMs) => {
        const play = await new Play({
          ...calm,
          upstream: { ...calm.upstream, foreign, retryAfterMs },
        }).runAll();
        throttled += play.throttledAtMs.length;
        expect(play.faults).toEqual([]);
        expect(play.leaks()).toEqual([]);
      }),
      { ...check, numRuns: 700 },
    );
    expect(throttled).toBeGreaterThan(1_000);
  });

  it('holds for what Retry-After says, for all callers', () => {
    const play = new Play(
      storyOf(
        { write: '60/1m', call: 'off' },
        {
          upstream: {
            ...upstreamOf({ write: '1/5s', call: 'off' }, [null]),
            retryAfterMs: 7_000,
          },
          messages: backlog(3, 2, 60_000),
        },
      ),
    ).run(7_099);
    // Six went out at once; five were refused, at 100 ms.
    expect(play.granted.length).toBe(6);
    expect(play.pacer.pausedForMs).toBe(1);
    play.run(7_100);
    expect(play.granted.length).toBe(7);
    play.run(7_199);
    expect(play.granted.length).toBe(7);
  });

  it.each([
    [15, 1_000],
    [30, 1_000],
    [30, undefined],
    [50, 1_000],
    [100, 1_000],
  ])(
    'is rare while somebody else makes %i writes a minute, since what we take for ours shrinks; and it grows back',
    (perMinute, retryAfterMs) => {
      const [fromMs, untilMs, endMs] = [10 * 60_000, 70 * 60_000, 90 * 60_000];
      const upstream = upstreamOf({ write: '60/1m', call: 'off' }, [null], {
        retryAfterMs,
        foreign: [{ fromMs, untilMs, perMinute }],
      });
      const messages = Array.from({ length: endMs / 900 }, (_, index) => ({
        id: `m${index}`,
        atMs: index * 900,
        caller: `caller ${index % 5}`,
        waitMs: 25_000,
      }));
      const play = new Play(storyOf({ write: '60/1m', call: '1/100ms,120/1m' }, { upstream, messages }));
      play.run(fromMs);
      expect(play.throttledAtMs).toEqual([]);
      const before = play.in('done').length;
      play.run(untilMs);
      const throttlesAMinute = play.throttledAtMs.length / 60;
      const writesAMinute = (play.in('done').length - before) / 60;
      expect(throttlesAMinute).toBeLessThanOrEqual(2.5);
      // Of what the other one leaves, at least two thirds; of next to nothing, something now and then.
      if (perMinute <= 30) expect(writesAMinute).toBeGreaterThan((60 - perMinute) * 0.66);
      play.run();
      expect(play.throttledAtMs.length - throttlesAMinute * 60).toBeLessThanOrEqual(3);
      expect(play.pacer.windows().map(({ assumedLimit }) => assumedLimit)).toEqual([60, 1, 120]);
      expect(play.faults).toEqual([]);
    },
  );

  it('does not close for hours a long window that is nearly used up: it may have come by chance', () => {
    const limits = { write: '2000/1h', call: 'off' };
    const upstream = upstreamOf(limits, [null], {
      // So many in one moment that ours becomes one too many, and hardly any more.
      foreign: [{ fromMs: 30 * 60_000, untilMs: 30 * 60_000 + 100, perMinute: 150_000 }],
    });
    const messages = Array.from({ length: 3_000 }, (_, index) => ({
      id: `m${index}`,
      atMs: index * 1_000,
      caller: 'one',
      waitMs: 25_000,
    }));
    const once = {
      ...upstream,
      windows: upstream.windows.map((window) => ({ ...window, periodMs: 1_900_000 })),
    };
    const play = new Play(storyOf(limits, { upstream: once, messages })).run(31 * 60_000);
    expect(play.throttledAtMs.length).toBe(1);
    const before = play.granted.length;
    expect(play.pacer.windows()[0]?.assumedLimit).toBeLessThan(before);
    play.run(50 * 60_000);
    expect(play.granted.length - before).toBeGreaterThan(150);
    expect(play.throttledAtMs.length).toBeLessThan(10);
  });
});

describe('bad news', () => {
  /** A pacer with a slot under way, and somebody who waits behind it. */
  function throttling(): { clock: VirtualClock; pacer: MemoryPacer; slots: Slot[]; refusedAtMs: number[] } {
    const clock = new VirtualClock();
    const pacer = new MemoryPacer({ write: windowsOf('3/20s'), call: [], reserveShare: 0 }, clock);
    const slots: Slot[] = [];
    const refusedAtMs: number[] = [];
    for (const waitMs of [60_000, 60_000, 60_000, 25_000, 60_000]) {
      const place = pacer.admit({ caller: 'one', session: undefined, deadline: new Deadline(clock, waitMs) });
      place.requestSlot(
        (slot) => slots.push(slot),
        () => refusedAtMs.push(clock.nowMs()),
      );
    }
    clock.run(1_000);
    return { clock, pacer, slots, refusedAtMs };
  }

  it('of a pause that is too long for somebody reaches him as it begins, a waiting call as well', async () => {
    const { clock, pacer, slots, refusedAtMs } = throttling();
    const calls: Promise<unknown>[] = [];
    slots[0]?.end({ kind: 'throttled', retryAfterMs: 5_000 });
    calls.push(pacer.call(new Deadline(clock, 20_000)).catch((error: unknown) => error));
    expect(refusedAtMs).toEqual([]);
    slots[1]?.end({ kind: 'throttled', retryAfterMs: 40_000 });
    expect(refusedAtMs).toEqual([1_000]);
    expect(await calls[0]).toMatchObject({ code: 'quota-exhausted', retryAfterMs: 40_000 });
    expect(pacer.waiting).toBe(1);
  });

  it('of a shorter pause does not take back a longer one', () => {
    const { clock, pacer, slots } = throttling();
    slots[0]?.end({ kind: 'throttled', retryAfterMs: 30_000 });
    slots[1]?.end({ kind: 'throttled', retryAfterMs: 1_000 });
    expect(pacer.pausedForMs).toBe(30_000);
    clock.run(30_999);
    expect(slots.length).toBe(3);
  });

  it('again and again makes the pause grow though Retry-After always says a second; an answer ends that', () => {
    const clock = new VirtualClock();
    const pacer = new MemoryPacer({ write: [], call: [], reserveShare: 0 }, clock);
    const pausesMs: number[] = [];
    const ask = (end: CallEnd): void => {
      clock.run(clock.nowMs() + pacer.pausedForMs);
      const place = pacer.admit({ caller: 'one', session: undefined, deadline: new Deadline(clock, 60_000) });
      place.requestSlot(
        (slot) => {
          slot.end(end);
        },
        () => undefined,
      );
      place.leave();
      pausesMs.push(pacer.pausedForMs);
    };
    const throttled = { kind: 'throttled', retryAfterMs: 1_000 } as const;
    for (let time = 0; time < 8; time += 1) ask(throttled);
    ask({ kind: 'answered' });
    ask(throttled);
    expect(pausesMs).toEqual([1_000, 1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 0, 1_000]);
  });

  it('of a pause reckons with the probe: all but the first wait for its end', () => {
    const clock = new VirtualClock();
    const pacer = new MemoryPacer({ write: windowsOf('10/1s'), call: [], reserveShare: 0 }, clock);
    const admit = (waitMs: number): Place =>
      pacer.admit({ caller: 'one', session: undefined, deadline: new Deadline(clock, waitMs) });
    const place = admit(1_000);
    place.requestSlot(
      (slot) => {
        slot.end({ kind: 'throttled', retryAfterMs: 30_000 });
      },
      () => undefined,
    );
    place.leave();
    admit(31_002);
    // The pause, the hundred milliseconds of an answer, and the second that an attempt must have.
    expect(() => admit(31_100)).toThrow(QuotaExhausted);
    expect(() => admit(31_102)).not.toThrow();
  });

  it('of a slot that another one took while it waited for its session reaches it at that moment', () => {
    const one = { caller: 'one', waitMs: 60_000 };
    const messages: Message[] = [
      { ...one, id: 'first', atMs: 0, session: 's' },
      { ...one, id: 'second', atMs: 0, session: 's', waitMs: 6_000 },
      { ...one, id: 'third', atMs: 100 },
      { ...one, id: 'fourth', atMs: 200 },
    ];
    const limits = { write: '3/20s', call: 'off' };
    const upstream = upstreamOf(limits, [null], { latencyMs: [1_000, 1_000] });
    const play = new Play(storyOf(limits, { upstream, messages })).run();
    expect(play.granted.map(({ message }) => message.id)).toEqual(['first', 'third', 'fourth']);
    expect(play.actor('second')).toMatchObject({ state: 'refused', refusedAtMs: 200 });
  });
});

describe('the reserve of a day', () => {
  const limits = { write: '100/1d', call: 'off' };
  const flood = (atMs: number, count: number): Message[] =>
    Array.from({ length: count }, (_, index) => ({ id: `f${index}`, atMs, caller: 'flood', waitMs: 25_000 }));
  const modest = (atMs: number, who: number, count: number): Message[] =>
    Array.from({ length: count }, (_, index) => ({
      id: `${who}-${index}`,
      atMs,
      caller: `modest ${who}`,
      waitMs: 25_000,
    }));
  const sentBy = (play: Play, caller: string): number =>
    play.granted.filter(({ message }) => message.caller.startsWith(caller)).length;

  it('is not kept back from a caller who is alone', () => {
    const play = new Play(storyOf(limits, { reserveShare: 0.1, messages: flood(0, 150) })).run(60_000);
    expect(sentBy(play, 'flood')).toBe(100);
    expect(play.in('turned-away').length).toBe(50);
  });

  it('is left to those who used little, and who floods is told so at once', () => {
    const messages = [
      ...modest(0, 0, 1),
      ...flood(1_000, 150),
      ...modest(2_000, 1, 4),
      ...modest(3_000, 2, 8),
    ];
    const play = new Play(storyOf(limits, { reserveShare: 0.1, messages })).run(60_000);
    expect(sentBy(play, 'flood')).toBe(89);
    expect(sentBy(play, 'modest')).toBe(11);
    const told = play.in('turned-away', 'refused').filter(({ message }) => message.caller === 'flood');
    expect(told.length).toBe(61);
    expect(
      told.every(({ refusedAtMs, retryAfterMs }) => refusedAtMs === 1_000 && retryAfterMs > 86_000_000),
    ).toBe(true);
  });

  it('is reckoned with at admission: nobody is taken in who will have used too much when its turn comes', () => {
    const paced = { write: '20/1d,1/1s', call: 'off' };
    const messages = [...modest(0, 0, 1), ...flood(0, 12)];
    const play = new Play(storyOf(paced, { reserveShare: 0.45, messages })).run(60_000);
    expect(sentBy(play, 'flood')).toBe(10);
    expect(play.in('turned-away').map(({ message }) => message.id)).toEqual(['f10', 'f11']);
    expect(play.in('refused')).toEqual([]);
  });

  it('opens again to everybody when the day is over', () => {
    const messages = [
      ...modest(0, 0, 1),
      ...flood(1_000, 95),
      ...flood(86_500_000, 50).map((m) => ({ ...m, id: `${m.id} later` })),
    ];
    const play = new Play(storyOf(limits, { reserveShare: 0.1, messages })).run();
    expect(sentBy(play, 'flood')).toBe(89 + 50);
    expect(play.leaks()).toEqual([]);
  });
});

describe('a stop', () => {
  it('that moves deadlines forward is told at once to those who cannot be served by then, and the others are served', () => {
    const clock = new VirtualClock();
    const pacer = new MemoryPacer({ write: windowsOf('1/1s'), call: [], reserveShare: 0 }, clock);
    const lifecycle = new Lifecycle();
    const heard: string[] = [];
    for (let index = 0; index < 8; index += 1) {
      const deadline = new Deadline(clock, 25_000, 0, lifecycle);
      const place = pacer.admit({ caller: 'one', session: undefined, deadline });
      place.requestSlot(
        (slot) => {
          heard.push(`sent at ${clock.nowMs()}`);
          slot.end({ kind: 'answered' });
        },
        () => heard.push(`refused at ${clock.nowMs()}`),
      );
    }
    clock.run(500);
    lifecycle.stop(4_000);
    pacer.review();
    expect(heard.filter((what) => what.startsWith('refused at 500')).length).toBe(5);
    clock.run(25_000);
    expect(heard.filter((what) => what.startsWith('sent'))).toEqual([
      'sent at 0',
      'sent at 1002',
      'sent at 2004',
    ]);
    expect([heard.length, pacer.waiting, clock.pending]).toEqual([8, 0, 0]);
  });
});

describe('hanging up', () => {
  it('gives the slot to the next one, and lets the next of its session go', () => {
    const limits = { write: '1/10s', call: 'off' };
    const wait = { waitMs: 60_000, caller: 'one' };
    const messages: Message[] = [
      { ...wait, id: 'first', atMs: 0 },
      { ...wait, id: 'gone', atMs: 1, session: 's', hangUpAfterMs: 5_000 },
      { ...wait, id: 'next', atMs: 2, session: 's' },
      { ...wait, id: 'last', atMs: 3 },
    ];
    const play = new Play(storyOf(limits, { messages })).run();
    expect(play.granted.map(({ message }) => message.id)).toEqual(['first', 'next', 'last']);
    expect(play.actor('next').grantedAtMs).toEqual([10_106]);
    expect(play.leaks()).toEqual([]);
  });
});

describe('what an operation costs', () => {
  /** Looks at the clock: each step that the pacer takes on a write or a window is about one. */
  class CountingClock extends VirtualClock {
    looks = 0;
    override nowMs(): number {
      this.looks += 1;
      return super.nowMs();
    }
  }
  const looksOf = (clock: CountingClock, work: () => void): number => {
    const before = clock.looks;
    work();
    return clock.looks - before;
  };

  it('is the same for the first and the last of 5,000 a day, and when they are forgotten', () => {
    const clock = new CountingClock();
    const pacer = new MemoryPacer(
      { write: windowsOf('5000/1d'), call: windowsOf('off'), reserveShare: 0.1 },
      clock,
    );
    const sendOne = (): number =>
      looksOf(clock, () => {
        const place = pacer.admit({ caller: 'one', session: 's', deadline: new Deadline(clock, 1_000) });
        place.requestSlot(
          (slot) => {
            slot.end({ kind: 'answered' });
          },
          () => undefined,
        );
        place.leave();
      });
    const costs = Array.from({ length: 5_000 }, sendOne);
    expect(pacer.windows()[0]?.used).toBe(5_000);
    clock.run(2 * 86_400_000);
    costs.push(sendOne(), sendOne());
    expect(pacer.windows()[0]?.used).toBe(2);
    expect(new Set(costs).size).toBe(1);
    expect(costs[0]).toBeLessThan(20);
  });

  it('is the same for the tenth and the thousandth in the line, and for those who are turned away', () => {
    const clock = new CountingClock();
    const pacer = new MemoryPacer(
      { write: windowsOf('1/1s'), call: windowsOf('off'), reserveShare: 0 },
      clock,
    );
    const ask = (waitMs: number): number =>
      looksOf(clock, () => {
        try {
          const deadline = new Deadline(clock, waitMs);
          pacer.admit({ caller: 'one', session: undefined, deadline }).requestSlot(
            () => undefined,
            () => undefined,
          );
        } catch (error) {
          if (!(error instanceof QuotaExhausted)) throw error;
        }
      });
    ask(1e9);
    const waiting = Array.from({ length: 1_000 }, () => ask(1e9));
    const turnedAway = Array.from({ length: 1_000 }, () => ask(5_000));
    expect(pacer.waiting).toBe(1_000);
    expect(waiting[999]).toBe(waiting[9]);
    expect(Math.max(...waiting, ...turnedAway)).toBeLessThan(20);
  });
});
