import type { Course } from './promtool.js';

/** For each alert about Nexudus a course of events in which it fires, and the nearest ones in which it must not. */
export const nexudusCourses: readonly Course[] = [
  {
    alert: 'NexudusCredentialsRejected',
    what: 'the new password is wrong',
    series: { 'nexudus_credentials_rejected{reason="invalid-credentials"}': '_ 1x10' },
    at: '3m',
    fires: {
      labels: { reason: 'invalid-credentials' },
      description: 'Reason: invalid-credentials. Old credentials serve on as long as Nexudus accepts them.',
    },
  },
  {
    alert: 'NexudusCredentialsRejected',
    what: 'somebody corrected them',
    series: { 'nexudus_credentials_rejected{reason="invalid-credentials"}': '1 1 stale' },
    at: '3m',
  },
  {
    alert: 'NexudusAccessDenied',
    what: 'the first refusal ever, of which increase() sees nothing',
    series: { 'nexudus_writes_total{operation="create",outcome="access-denied"}': '_x5 1x5' },
    at: '7m',
    fires: {
      description: '1 writes in 10 minutes were refused. The credentials may be good and a role missing.',
    },
  },
  {
    alert: 'NexudusAccessDenied',
    what: 'the last refusal was long ago',
    series: { 'nexudus_writes_total{operation="create",outcome="access-denied"}': '_x5 4x40' },
    at: '30m',
  },
  {
    alert: 'NexudusNoToken',
    what: 'a pod has none for three minutes',
    series: { nexudus_token_expires_seconds: '60 0x10' },
    at: '4m',
    fires: {
      labels: { pod: 'bff-1' },
      description: 'bff-1 cannot call Nexudus: every write ends as not-sent.',
    },
  },
  {
    alert: 'NexudusNoToken',
    what: 'it starts: the first token takes its time',
    series: { nexudus_token_expires_seconds: '0 86400x10' },
    at: '4m',
  },
  {
    alert: 'NexudusTokenNotRenewed',
    what: 'the token endpoint is out of order for ten minutes',
    series: { 'nexudus_token_failures_total{reason="unavailable"}': '0x10 0+1x30' },
    at: '25m',
    fires: { description: 'Calls are served until the token in use ends.' },
  },
  {
    alert: 'NexudusTokenNotRenewed',
    what: 'one call failed, the next did not',
    series: { 'nexudus_token_failures_total{reason="unavailable"}': '0x10 1x30' },
    at: '25m',
  },
  {
    alert: 'NexudusUnreachable',
    what: 'the circuit stays open',
    series: { nexudus_circuit_open: '0 1x10' },
    at: '3m',
    fires: {
      description:
        'After ten failures in a row nothing is sent until a probe succeeds; callers get 503 at once.',
    },
  },
  {
    alert: 'NexudusUnreachable',
    what: 'the first probe succeeds',
    series: { nexudus_circuit_open: '0 1 0x10' },
    at: '3m',
  },
  {
    alert: 'NexudusOutcomeUnknown',
    what: 'a create, the first ever',
    series: { 'nexudus_writes_total{operation="create",outcome="outcome-unknown"}': '_x10 1x10' },
    at: '12m',
    fires: { labels: { operation: 'create' }, description: '1 in the last hour, operation create.' },
  },
  {
    alert: 'NexudusOutcomeUnknown',
    what: 'one more, hours after the first',
    series: { 'nexudus_writes_total{operation="create",outcome="outcome-unknown"}': '1x180 3x60' },
    at: '181m',
    fires: { labels: { operation: 'create' }, description: '2 in the last hour, operation create.' },
  },
  {
    alert: 'NexudusOutcomeUnknown',
    what: 'that was more than an hour ago, and everything else is known',
    series: {
      'nexudus_writes_total{operation="create",outcome="outcome-unknown"}': '_x10 1x110',
      'nexudus_writes_total{operation="create",outcome="done"}': '0+5x110',
    },
    at: '100m',
  },
  {
    alert: 'NexudusThrottledWithinQuota',
    what: 'an answer a minute is a throttle',
    series: { nexudus_quota_throttled_total: '0+1x40' },
    at: '25m',
    fires: {
      description:
        '15 throttle answers in 15 minutes: somebody else uses the account, or the limits are set too high.',
    },
  },
  {
    alert: 'NexudusThrottledWithinQuota',
    what: 'the overlap of a roll was throttled twice',
    series: { nexudus_quota_throttled_total: '0x10 2x40' },
    at: '20m',
  },
  {
    alert: 'NexudusDailyQuotaNearlySpent',
    what: 'two replicas have used nine tenths and more of the day together',
    series: {
      'nexudus_quota_used{kind="write",window="1d",replica="a"}': '1200x10',
      'nexudus_quota_used{kind="write",window="1d",replica="b"}': '1100x10',
      'nexudus_quota_limit{kind="write",window="1d",replica="a"}': '1250x10',
      'nexudus_quota_limit{kind="write",window="1d",replica="b"}': '1250x10',
    },
    at: '8m',
    fires: {
      description: '92% are used. When all are, every write is refused until the oldest are a day old.',
    },
  },
  {
    alert: 'NexudusDailyQuotaNearlySpent',
    what: 'a minute is full, and so is what counts all calls: neither is the day of writes',
    series: {
      'nexudus_quota_used{kind="write",window="1m"}': '60x10',
      'nexudus_quota_limit{kind="write",window="1m"}': '60x10',
      'nexudus_quota_used{kind="call",window="1d"}': '100x10',
      'nexudus_quota_limit{kind="call",window="1d"}': '100x10',
      'nexudus_quota_used{kind="write",window="1d"}': '2000x10',
      'nexudus_quota_limit{kind="write",window="1d"}': '2500x10',
    },
    at: '8m',
  },
  {
    alert: 'NexudusWritesWaitLong',
    what: 'somebody waits for half a minute, a quarter of an hour long',
    series: { nexudus_quota_oldest_wait_seconds: '0 30x20' },
    at: '15m',
    fires: { description: '30s: the apps send more than the quota of about one write a second.' },
  },
  {
    alert: 'NexudusWritesWaitLong',
    what: 'of twenty writes two wait for more than ten seconds',
    series: {
      'nexudus_quota_wait_seconds_bucket{le="1"}': '0+18x30',
      'nexudus_quota_wait_seconds_bucket{le="10"}': '0+18x30',
      'nexudus_quota_wait_seconds_bucket{le="25"}': '0+20x30',
      'nexudus_quota_wait_seconds_bucket{le="+Inf"}': '0+20x30',
    },
    at: '25m',
    fires: { description: '17.5s: the apps send more than the quota of about one write a second.' },
  },
  {
    alert: 'NexudusWritesWaitLong',
    what: 'a burst waits for some seconds',
    series: {
      nexudus_quota_oldest_wait_seconds: '0 8x20',
      'nexudus_quota_wait_seconds_bucket{le="10"}': '0+20x30',
      'nexudus_quota_wait_seconds_bucket{le="+Inf"}': '0+20x30',
    },
    at: '15m',
  },
  {
    alert: 'NexudusWritesRefused',
    what: 'a write a minute is refused, for either reason',
    series: {
      'nexudus_quota_refused_total{reason="too-late"}': '0+0.5x40',
      'nexudus_quota_refused_total{reason="overtaken"}': '0+0.5x40',
    },
    at: '25m',
    fires: { description: '15 in 15 minutes were answered 429 quota-exhausted.' },
  },
  {
    alert: 'NexudusWritesRefused',
    what: 'a single burst was too much',
    series: { 'nexudus_quota_refused_total{reason="too-late"}': '0x10 4x40' },
    at: '20m',
  },
];
