import type { Course } from './promtool.js';

/** For each alert about deliveries a course of events in which it fires, and the nearest ones in which it must not. */
export const deliveryCourses: readonly Course[] = [
  {
    alert: 'NexudusBffDatabaseAway',
    what: 'one of two pods has lost it for a minute',
    series: {
      'nexudus_database_up{backend="postgres",replica="a"}': '1x10',
      'nexudus_database_up{backend="postgres",replica="b"}': '1 0x10',
    },
    at: '3m',
    fires: { description: '1 pod(s) do not reach it: they are not ready, and send nothing.' },
  },
  {
    alert: 'NexudusBffDatabaseAway',
    what: 'it fails over within a minute',
    series: { 'nexudus_database_up{backend="postgres"}': '1 0 1x10' },
    at: '3m',
  },
  {
    alert: 'NexudusBffDatabaseAway',
    what: 'there is none',
    series: { up: '1x10' },
    at: '5m',
  },
  {
    alert: 'NexudusDeliveriesWaitLong',
    what: 'the oldest waits for more than six hours of its day, as each replica says',
    everyMinutes: 10,
    series: {
      'nexudus_delivery_oldest_wait_seconds{replica="a"}': '0+600x60',
      'nexudus_delivery_oldest_wait_seconds{replica="b"}': '0+600x60',
    },
    at: '400m',
    fires: { description: '6h 40m 0s: more is handed over than the quota lets through.' },
  },
  {
    alert: 'NexudusDeliveriesWaitLong',
    what: 'a backlog of an hour is worked off',
    series: { nexudus_delivery_oldest_wait_seconds: '3600x120' },
    at: '60m',
  },
  {
    alert: 'NexudusDeliveriesNearlyExpired',
    what: 'the oldest waits for twenty hours of its day',
    series: { nexudus_delivery_oldest_wait_seconds: '72000x30' },
    at: '10m',
    fires: { description: '20h 0m 0s of the 1d 0h 0m 0s that they have are over for the oldest.' },
  },
  {
    alert: 'NexudusDeliveriesNearlyExpired',
    what: 'it is sent in the last minute',
    series: { nexudus_delivery_oldest_wait_seconds: '72000x3 60x30' },
    at: '10m',
  },
  {
    alert: 'NexudusDeliveriesExpired',
    what: 'one did, the first ever',
    series: { 'nexudus_delivery_settled_total{operation="create",state="expired"}': '_x10 1x10' },
    at: '12m',
    fires: { description: '1 in the last hour.' },
  },
  {
    alert: 'NexudusDeliveriesExpired',
    what: 'that was hours ago, and all others were sent',
    series: {
      'nexudus_delivery_settled_total{operation="create",state="expired"}': '3x200',
      'nexudus_delivery_settled_total{operation="create",state="done"}': '0+9x200',
    },
    at: '150m',
  },
  {
    alert: 'NexudusDeliveriesUnknown',
    what: 'two are for a quarter of an hour, as both replicas say',
    series: {
      'nexudus_deliveries{state="unknown",replica="a"}': '2x30',
      'nexudus_deliveries{state="unknown",replica="b"}': '2x30',
    },
    at: '20m',
    fires: { description: '2 wait for a decision at GET /ops/deliveries?state=unknown.' },
  },
  {
    alert: 'NexudusDeliveriesUnknown',
    what: 'it was found out, and many others wait and are sent',
    series: {
      'nexudus_deliveries{state="unknown"}': '1x5 0x30',
      'nexudus_deliveries{state="accepted"}': '500x40',
      'nexudus_deliveries{state="sending"}': '1x40',
    },
    at: '20m',
  },
];
