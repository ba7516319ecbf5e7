import { describe, expect, it } from '@jest/globals';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import { Clock } from '../clock/clock.js';
import { Deadline } from './deadline.js';
import { MemoryPacer } from './memory.pacer.js';
import type { CallEnd, Place } from './pacer.js';

/** A clock that goes on a little whenever it is read, as a real one does, and whose timers come a little early. */
class RestlessClock extends Clock {
  readonly #timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  #nowMs = 0;

  nowMs(): number {
    return (this.#nowMs += 0.01);
  }

  epochMs(): number {
    return this.nowMs();
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index !== -1) this.#timers.splice(index, 1);
    };
  }

  /** Runs timers in their order, each `earlyMs` before its time, until none is left or the time is over. */
  run(untilMs: number, earlyMs: number): void {
    for (;;) {
      const [next] = this.#timers.sort((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > untilMs) return;
      this.#timers.splice(0, 1);
      this.#nowMs = Math.max(this.#nowMs, next.atMs - earlyMs);
      next.callback();
    }
  }
}

describe('the pacer on a real clock', () => {
  it('is woken after a pause though its timer came early and the clock goes on while it looks', () => {
    // Node's timers come up to a millisecond early. Which read of the clock the end of the pause falls between is a
    // matter of where one begins: all of them are tried.
    for (let earlyMs = 0; earlyMs < 1; earlyMs += 0.003) {
      const clock = new RestlessClock();
      const pacer = new MemoryPacer({ write: [], call: [], reserveShare: 0 }, clock);
      const place = pacer.admit({ caller: 'a', session: undefined, deadline: new Deadline(clock, 25_000) });
      const heard: string[] = [];
      const ask = (end: CallEnd): void => {
        place.requestSlot(
          (slot) => {
            heard.push('slot');
            slot.end(end);
          },
          () => heard.push('refused'),
        );
      };
      ask({ kind: 'throttled', retryAfterMs: 1_000 });
      ask({ kind: 'answered' });
      clock.run(2_000, earlyMs);
      expect([earlyMs, ...heard]).toEqual([earlyMs, 'slot', 'slot']);
    }
  });
});

describe('one slow answer among quick ones', () => {
  it('has nobody refused who can be served: a session’s messages, each after the end of the former', () => {
    const clock = new VirtualClock();
    const pacer = new MemoryPacer({ write: [], call: [], reserveShare: 0 }, clock);
    const admit = (session: string): Place =>
      pacer.admit({ caller: 'a', session, deadline: new Deadline(clock, 10_000) });
    const send = (tookMs: number): void => {
      const place = admit('former');
      place.requestSlot(
        (slot) => {
          clock.run(clock.nowMs() + tookMs);
          slot.end({ kind: 'answered' });
        },
        () => undefined,
      );
      place.leave();
    };
    for (const tookMs of [20, 20, 4_000]) send(tookMs);
    expect(() => Array.from({ length: 8 }, () => admit('later'))).not.toThrow();
  });
});
