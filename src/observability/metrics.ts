import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];

/**
 * Every metric of the service, with its meaning, in one list. Labels have few values, fixed in the code: no ids, no
 * raw paths, nothing that a caller or the upstream wrote.
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly serverRequestSeconds = this.#histogram(
    'http_server_request_duration_seconds',
    'Requests of callers, from arrival to the last byte of the answer',
    ['method', 'route', 'status'],
  );
  readonly clientRequestSeconds = this.#histogram(
    'http_client_request_duration_seconds',
    'Single calls to Nexudus; status is "none" where no answer came',
    ['method', 'call', 'status'],
  );
  readonly writes = this.#counter(
    'nexudus_writes_total',
    'Writes of callers, by what became of them: done, or the code of the failure',
    ['operation', 'outcome'],
  );
  readonly tokenRequests = this.#counter(
    'nexudus_token_requests_total',
    'Calls for an access token: issued, refused (a person must act) or unavailable',
    ['grant', 'result'],
  );
  readonly tokenExpiresSeconds = this.#gauge(
    'nexudus_token_expires_seconds',
    'Until the access token in use ends; 0 when there is none',
  );
  readonly credentialsRejected = this.#gauge(
    'nexudus_credentials_rejected',
    '1 while Nexudus refuses the newest credentials, by reason: an operator must act',
    ['reason'],
  );
  readonly credentialsGeneration = this.#gauge(
    'nexudus_credentials_generation',
    'Counts the credentials that have been proven by a login and taken into use since the start',
  );
  readonly clientApiKeysRejected = this.#gauge(
    'client_api_keys_rejected',
    '1 while the file of API keys cannot be used as it is and the old keys serve on: an operator must act',
  );
  readonly quotaLimit = this.#gauge('nexudus_quota_limit', 'Calls allowed in a window, as configured', [
    'kind',
    'window',
  ]);
  readonly quotaAssumed = this.#gauge(
    'nexudus_quota_assumed_limit',
    'Calls of a window that we take for ours; below the limit while somebody else uses the account',
    ['kind', 'window'],
  );
  readonly quotaUsed = this.#gauge('nexudus_quota_used', 'Calls that count in a window now', [
    'kind',
    'window',
  ]);
  readonly quotaPauseSeconds = this.#gauge(
    'nexudus_quota_pause_seconds',
    'Until the pause after a throttle answer ends',
  );
  readonly quotaWaiting = this.#gauge('nexudus_quota_waiting', 'Writes that wait for their turn');
  readonly quotaWaitSeconds = this.#histogram(
    'nexudus_quota_wait_seconds',
    'How long writes waited for their turn',
  );
  readonly quotaThrottled = this.#counter(
    'nexudus_quota_throttled_total',
    'Throttle answers (409 or 429) of Nexudus',
  );
  readonly quotaRefused = this.#counter(
    'nexudus_quota_refused_total',
    'Writes refused because their turn would come too late',
  );
  readonly idempotencyRequests = this.#counter(
    'idempotency_requests_total',
    'Requests with an Idempotency-Key: claimed (a new key), replayed, in-use, reused (another body), refused (no room)',
    ['result'],
  );
  readonly circuitOpen = this.#gauge(
    'nexudus_circuit_open',
    '1 while nothing is sent because Nexudus does not answer',
  );

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Has gauges set whenever the metrics are read. */
  beforeRead(collect: () => void): void {
    this.#collectors.push(collect);
  }

  /** The text of the Prometheus exposition format. */
  async read(): Promise<string> {
    for (const collect of this.#collectors) collect();
    return this.registry.metrics();
  }

  readonly #collectors: (() => void)[] = [];

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Histogram<Label> {
    return new Histogram({ name, help, labelNames, buckets: SECONDS, registers: [this.registry] });
  }
}
