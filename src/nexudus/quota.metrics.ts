import type { Metrics } from '../observability/metrics.js';
import type { Pacer } from './pacer.js';
import { windowName } from './rate-limit.headers.js';

/** Shows the state of the quota whenever the metrics are read. */
export function observeQuota(pacer: Pacer, metrics: Metrics): void {
  metrics.beforeRead(() => {
    for (const { kind, window, assumedLimit, used } of pacer.windows()) {
      const labels = { kind, window: windowName(window.periodMs) };
      metrics.quotaLimit.set(labels, window.limit);
      metrics.quotaAssumed.set(labels, assumedLimit);
      metrics.quotaUsed.set(labels, used);
    }
    metrics.quotaPauseSeconds.set(pacer.pausedForMs / 1000);
    metrics.quotaWaiting.set(pacer.waiting);
  });
}
