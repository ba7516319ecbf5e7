import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { isoDate } from '../clock/iso-date.js';
import { Metrics } from '../observability/metrics.js';
import { OperatorInfo, seconds } from '../observability/operator-info.js';
import { AccessTokenSource } from './access-token.source.js';
import { AccountRefusals } from './account.refusals.js';
import { Circuit } from './circuit.js';
import { Pacer } from './pacer.js';
import { windowName } from './rate-limit.headers.js';

/** Shows operators how all that knows Nexudus stands at the moment they look: as gauges, and in `/info`. */
@Injectable()
export class NexudusSignals {
  constructor(
    private readonly tokens: AccessTokenSource,
    private readonly pacer: Pacer,
    private readonly circuit: Circuit,
    refusals: AccountRefusals,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    info: OperatorInfo,
  ) {
    // There from the start: of a counter that appears with its first event, Prometheus does not see that it moved.
    for (const reason of ['too-late', 'overtaken']) metrics.quotaRefused.inc({ reason }, 0);
    metrics.beforeRead(() => {
      this.#setGauges();
    });
    info.add('token', () => this.#token());
    info.add('credentials', () => ({
      generation: tokens.status.generation,
      rejected: tokens.status.rejected ?? null,
    }));
    info.add('refusals', () =>
      refusals.all().map(({ operation, reason, retryAfterMs }) => ({
        operation,
        reason,
        retryAfterSeconds: seconds(retryAfterMs),
      })),
    );
    info.add('circuit', () => ({
      state: circuit.isOpen ? 'open' : 'closed',
      nextProbeInSeconds: circuit.isOpen ? seconds(circuit.probesInMs) : null,
    }));
    info.add('quota', () => this.#quota());
  }

  #setGauges(): void {
    const { metrics, pacer } = this;
    const { ageMs, expiresInMs, generation, rejected } = this.tokens.status;
    metrics.tokenAgeSeconds.set(ageMs / 1000);
    metrics.tokenExpiresSeconds.set(expiresInMs / 1000);
    metrics.credentialsGeneration.set(generation);
    metrics.credentialsRejected.reset();
    if (rejected !== undefined) metrics.credentialsRejected.set({ reason: rejected }, 1);
    metrics.circuitOpen.set(this.circuit.isOpen ? 1 : 0);
    for (const { kind, window, assumedLimit, used, remaining } of pacer.windows()) {
      const labels = { kind, window: windowName(window.periodMs) };
      metrics.quotaLimit.set(labels, window.limit);
      metrics.quotaAssumed.set(labels, assumedLimit);
      metrics.quotaUsed.set(labels, used);
      metrics.quotaRemaining.set(labels, remaining);
    }
    metrics.quotaPauseSeconds.set(pacer.pausedForMs / 1000);
    metrics.quotaWaiting.set(pacer.waiting);
    metrics.quotaOldestWaitSeconds.set(pacer.oldestWaitMs / 1000);
  }

  #token(): object {
    const { ageMs, expiresInMs, lastRenewal } = this.tokens.status;
    return {
      isUsable: expiresInMs > 0,
      ageSeconds: seconds(ageMs),
      expiresInSeconds: seconds(expiresInMs),
      lastRenewal: lastRenewal ? { at: isoDate(lastRenewal.atEpochMs), result: lastRenewal.result } : null,
    };
  }

  #quota(): object {
    const { pausedForMs, waiting, oldestWaitMs } = this.pacer;
    return {
      windows: this.pacer.windows().map(({ kind, window, assumedLimit, used, remaining, resetMs }) => ({
        kind,
        window: windowName(window.periodMs),
        limit: window.limit,
        assumedLimit,
        used,
        remaining,
        resetSeconds: seconds(resetMs),
      })),
      pausedUntil: pausedForMs > 0 ? isoDate(this.clock.epochMs() + pausedForMs) : null,
      waiting,
      oldestWaitSeconds: seconds(oldestWaitMs),
    };
  }
}
