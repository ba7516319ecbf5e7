import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { Interruption } from '../clock/interruption.js';
import { Metrics } from '../observability/metrics.js';
import { AccessTokenSource } from './access-token.source.js';
import { Circuit } from './circuit.js';
import { QuotaExhausted, UpstreamUnavailable, WriteAbandoned } from './nexudus.errors.js';
import { Pacer, type Place, type Slot } from './pacer.js';
import { sessionName } from './session-name.js';
import type { NexudusMessage, WriteContext } from './write.js';

/** Gets a write all that it needs to be sent: a place in the line, then a token and a slot. */
@Injectable()
export class WriteTurns {
  constructor(
    private readonly tokens: AccessTokenSource,
    private readonly pacer: Pacer,
    private readonly circuit: Circuit,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Takes a write in.
   *
   * @param wantsSlot whether it would be sent at once if it got a slot: nothing else is to be asked of Nexudus before
   * @throws QuotaExhausted when its turn would come too late
   */
  async admit(
    message: NexudusMessage,
    { caller, deadline }: WriteContext,
    wantsSlot: boolean,
  ): Promise<Place> {
    const session = sessionName(message);
    const isReady = wantsSlot && this.tokens.current !== undefined;
    try {
      const place = await this.pacer.admit({ caller, session, message: message.Id, deadline, isReady });
      this.metrics.quotaAdmitted.inc();
      return place;
    } catch (error) {
      if (error instanceof QuotaExhausted) this.metrics.quotaRefused.inc({ reason: 'too-late' });
      throw error;
    }
  }

  /**
   * A slot and a token. The token first, so that nobody holds a slot while a login is under way.
   *
   * @throws NexudusError of the kinds that say that nothing was sent
   */
  async take(
    place: Place,
    { deadline, abandoned, effort, span, place: given }: WriteContext,
  ): Promise<{ slot: Slot; token: string }> {
    for (;;) {
      if (this.tokens.current === undefined) {
        await span.step('token', () => this.tokens.ready(deadline, abandoned));
      }
      const waitsSinceMs = this.clock.nowMs();
      const slot = await span.step('wait', () => this.#slot(place, abandoned));
      const waitMs = this.clock.nowMs() - waitsSinceMs;
      effort.waitMs += waitMs;
      // Of one that came with its place, this is not the wait: its turn had come before, and nobody waits for it.
      if (given === undefined) this.metrics.quotaWaitSeconds.observe(waitMs / 1000);
      const token = this.tokens.current;
      try {
        if (abandoned.aborted) throw new WriteAbandoned();
        this.circuit.check();
        if (!deadline.allowsAttempt()) throw new UpstreamUnavailable('no-token', 1_000);
        if (token !== undefined) return { slot, token };
      } catch (error) {
        slot.end({ kind: 'not-sent' });
        throw error;
      }
      // The token ended while the write waited for its turn.
      slot.end({ kind: 'not-sent' });
    }
  }

  #slot(place: Place, abandoned: Interruption): Promise<Slot> {
    return new Promise((resolve, reject) => {
      if (abandoned.aborted) {
        reject(new WriteAbandoned());
        return;
      }
      const abandon = (): void => {
        place.leave();
        reject(new WriteAbandoned());
      };
      abandoned.addEventListener('abort', abandon);
      place.requestSlot(
        (slot) => {
          abandoned.removeEventListener('abort', abandon);
          resolve(slot);
        },
        (error) => {
          abandoned.removeEventListener('abort', abandon);
          if (error instanceof QuotaExhausted) this.metrics.quotaRefused.inc({ reason: 'overtaken' });
          reject(error);
        },
      );
    });
  }
}
