import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { VERSION } from './version.js';

/** Those of OpenTelemetry's semantic conventions for HTTP, and the longest that a caller waits by default. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 25];

/** One metric, for whoever reads about it. */
export interface MetricDescription {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

/**
 * Every metric of the service, with its meaning, in one list. Labels have few values, fixed in the code: no ids, no
 * raw paths, nothing that a caller or the upstream wrote.
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();
  readonly #collectors: (() => void)[] = [];
  readonly #descriptions: MetricDescription[] = [];

  readonly serverRequestSeconds = this.#histogram(
    'http_server_request_duration_seconds',
    'Requests of callers, from arrival to the last byte of the answer',
    ['method', 'route', 'status'],
  );
  readonly serverActiveRequests = this.#gauge(
    'http_server_active_requests',
    'Requests of callers that are under way',
  );
  readonly clientRequestSeconds = this.#histogram(
    'http_client_request_duration_seconds',
    'Single calls to Nexudus; status is "none" where no answer came, http_request_resend_count 0, 1, 2 or 3+',
    ['method', 'call', 'status', 'http_request_resend_count'],
  );
  readonly upstreamLastSuccess = this.#gauge(
    'nexudus_upstream_last_success_timestamp_seconds',
    'When Nexudus last answered a call with a 2xx, since the Unix epoch; 0 before the first',
  );
  readonly writes = this.#counter(
    'nexudus_writes_total',
    'Writes, a delivery each time that its turn came, by what came of it: done, message-rejected, message-not-found, ' +
      'outcome-unknown, quota-exhausted, access-denied, upstream-unavailable, store-unavailable (the database is away), ' +
      'write-abandoned (its caller went away before it was sent), or internal-error (a fault of this service)',
    ['operation', 'outcome'],
  );
  readonly tokenRequests = this.#counter(
    'nexudus_token_requests_total',
    'Calls for an access token: issued, refused (a person must act), blocked (by the firewall in front of Nexudus) or unavailable',
    ['grant', 'result'],
  );
  readonly tokenExpiresSeconds = this.#gauge(
    'nexudus_token_expires_seconds',
    'Until the access token in use ends; 0 when there is none',
  );
  readonly tokenAgeSeconds = this.#gauge(
    'nexudus_token_age_seconds',
    'Since the access token in use was issued; 0 when there is none',
  );
  readonly tokenLastSuccess = this.#gauge(
    'nexudus_token_last_success_timestamp_seconds',
    'When Nexudus last issued an access token, since the Unix epoch; 0 before the first',
  );
  readonly tokenFailures = this.#counter(
    'nexudus_token_failures_total',
    'Renewals that gave no token: unavailable, or why Nexudus refused (invalid-credentials, two-factor, password-reset), or token-blocked by the firewall in front of it',
    ['reason'],
  );
  readonly credentialsRejected = this.#gauge(
    'nexudus_credentials_rejected',
    '1 while the newest credentials are not in use, since Nexudus refuses them or the files hold none, by reason: an operator must act',
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
  readonly databaseUp = this.#gauge(
    'nexudus_database_up',
    '1 while the shared database answers and its tables are there; missing where there is none',
    ['backend'],
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
  readonly quotaRemaining = this.#gauge(
    'nexudus_quota_remaining',
    'Calls of a window that can be sent now: what we take for ours, less what counts',
    ['kind', 'window'],
  );
  readonly quotaPauseSeconds = this.#gauge(
    'nexudus_quota_pause_seconds',
    'Until the pause after a throttle answer ends',
  );
  readonly quotaWaiting = this.#gauge(
    'nexudus_quota_waiting',
    'Writes that wait for their turn; with a database those of all replicas, deliveries included',
  );
  readonly quotaOldestWaitSeconds = this.#gauge(
    'nexudus_quota_oldest_wait_seconds',
    'How long the write has waited that has waited longest, deliveries left out; 0 when none waits; with a database of those of all replicas',
  );
  readonly quotaWaitSeconds = this.#histogram(
    'nexudus_quota_wait_seconds',
    'How long writes waited for their turn, deliveries left out',
  );
  readonly quotaThrottled = this.#counter(
    'nexudus_quota_throttled_total',
    'Throttle answers (409 or 429) of Nexudus',
  );
  readonly quotaAdmitted = this.#counter(
    'nexudus_quota_admitted_total',
    'Writes that were taken in, since their turn could be expected in time',
  );
  readonly quotaRefused = this.#counter(
    'nexudus_quota_refused_total',
    'Writes refused: too-late at once, since their turn would come too late; overtaken after they had been taken in',
    ['reason'],
  );
  readonly idempotencyRequests = this.#counter(
    'idempotency_requests_total',
    'Requests with an Idempotency-Key: claimed (a new key), replayed, in-use, reused (another body), refused (no room)',
    ['result'],
  );
  readonly deliveries = this.#gauge(
    'nexudus_deliveries',
    'Deliveries that were handed over and are not settled (accepted, sending), and writes whose outcome is unknown; as the database has it',
    ['state'],
  );
  readonly deliveryOldestWaitSeconds = this.#gauge(
    'nexudus_delivery_oldest_wait_seconds',
    'How long the delivery has waited that was accepted first; 0 when none waits; as the database has it',
  );
  readonly deliveriesAccepted = this.#counter(
    'nexudus_delivery_accepted_total',
    'Deliveries that were handed over to this replica',
    ['operation'],
  );
  readonly deliveriesSettled = this.#counter(
    'nexudus_delivery_settled_total',
    'Deliveries that this replica settled, by how they ended (done, rejected, unknown, expired, cancelled)',
    ['operation', 'state'],
  );
  readonly lookups = this.#counter(
    'nexudus_lookups_total',
    'Looks for messages whose outcome is unknown, by what came of them: found, missing (not there yet), not-sent (not there for good), unclear (an operator must look), postponed (not allowed by Nexudus or the quota, or the same message is under way), overtaken (by another replica, or an operator)',
    ['result'],
  );
  readonly circuitOpen = this.#gauge(
    'nexudus_circuit_open',
    '1 while nothing is sent because Nexudus does not answer',
  );

  readonly #buildInfo = this.#gauge('nexudus_build_info', 'Always 1; the version that runs is its label', [
    'version',
  ]);

  constructor() {
    this.#buildInfo.set({ version: VERSION }, 1);
    collectDefaultMetrics({ register: this.registry });
  }

  /** Those of this service; beside them stand what prom-client says of the process and of Node. */
  get descriptions(): readonly MetricDescription[] {
    return this.#descriptions;
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

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Counter<Label> {
    this.#descriptions.push({ name, type: 'counter', labels: labelNames, help });
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: readonly Label[] = []): Gauge<Label> {
    this.#descriptions.push({ name, type: 'gauge', labels: labelNames, help });
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Histogram<Label> {
    this.#descriptions.push({ name, type: 'histogram', labels: labelNames, help });
    return new Histogram({ name, help, labelNames, buckets: SECONDS, registers: [this.registry] });
  }
}
