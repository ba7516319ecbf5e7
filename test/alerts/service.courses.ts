import type { Course } from './promtool.js';

const SERVED =
  'http_server_request_duration_seconds_count{method="POST",route="/v1/chat-messages",status="201"}';
const FAILED =
  'http_server_request_duration_seconds_count{method="POST",route="/v1/chat-messages",status="503"}';
const REFUSED =
  'http_server_request_duration_seconds_count{method="POST",route="/v1/chat-messages",status="429"}';
const PROBLEMS_PAGE =
  'http_server_request_duration_seconds_count{method="GET",route="/problems",status="500"}';

/** For each alert about this service a course of events in which it fires, and the nearest ones in which it must not. */
export const serviceCourses: readonly Course[] = [
  {
    alert: 'NexudusBffErrorBudgetBurnsFast',
    what: 'one call in five fails for half an hour',
    series: { [SERVED]: '0+8x60', [FAILED]: '0+2x60' },
    at: '40m',
    fires: { description: '20% of the calls to /v1 were answered with a 5xx.' },
  },
  {
    alert: 'NexudusBffErrorBudgetBurnsFast',
    what: 'the failures ended half an hour ago',
    series: { [SERVED]: '0+8x70', [FAILED]: '0+2x20 40x50' },
    at: '55m',
  },
  {
    alert: 'NexudusBffErrorBudgetBurnsFast',
    what: 'three of the four calls of a quiet night fail',
    series: { [SERVED]: '0x10 1x50', [FAILED]: '0x10 1 2 3x48' },
    at: '14m',
  },
  {
    alert: 'NexudusBffErrorBudgetBurnsFast',
    what: 'callers hit their quota, and the pages for people fail: neither is a failed message',
    series: { [SERVED]: '0+8x60', [REFUSED]: '0+20x60', [PROBLEMS_PAGE]: '0+20x60', [FAILED]: '0x60' },
    at: '40m',
  },
  {
    alert: 'NexudusBffErrorBudgetBurnsSlowly',
    what: 'one call in two hundred fails, all day long, where one in a thousand may',
    everyMinutes: 10,
    series: { [SERVED]: '0+199x150', [FAILED]: '0+1x150' },
    at: '25h',
    fires: { description: "0.5% of a day's calls to /v1 were answered with a 5xx." },
  },
  {
    alert: 'NexudusBffErrorBudgetBurnsSlowly',
    what: 'as many fail as may',
    everyMinutes: 10,
    series: { [SERVED]: '0+999x150', [FAILED]: '0+1x150' },
    at: '25h',
  },
  {
    alert: 'NexudusBffDown',
    what: 'the only pod does not answer',
    series: { up: '1 1 0x5' },
    at: '5m',
    fires: { description: 'Calls of every app fail, or Prometheus cannot reach the management port.' },
  },
  {
    alert: 'NexudusBffDown',
    what: 'there is nothing that Prometheus could ask',
    series: {},
    at: '5m',
    fires: { description: 'Calls of every app fail, or Prometheus cannot reach the management port.' },
  },
  {
    alert: 'NexudusBffDown',
    what: 'one of two pods answers',
    series: { 'up{replica="a"}': '1x10', 'up{replica="b"}': '0x10' },
    at: '5m',
  },
  {
    alert: 'NexudusBffPodNotReady',
    what: 'a new pod does not start for ten minutes',
    series: { 'kube_deployment_status_replicas_unavailable{namespace="apps",deployment="bff"}': '0 1x20' },
    at: '12m',
    fires: {
      labels: { job: '', deployment: 'bff' },
      description: '1 pod(s) of bff are not ready for 10 minutes.',
    },
  },
  {
    alert: 'NexudusBffPodNotReady',
    what: 'a roll takes a minute, and another deployment has its own troubles',
    series: {
      'kube_deployment_status_replicas_unavailable{namespace="apps",deployment="bff"}': '0 1 0x20',
      'kube_deployment_status_replicas_unavailable{namespace="apps",deployment="other"}': '1x20',
    },
    at: '12m',
  },
  {
    alert: 'NexudusBffApiKeysRejected',
    what: 'the file is broken for three minutes',
    series: { client_api_keys_rejected: '0 1x10' },
    at: '4m',
    fires: {
      description: 'The keys of the last good file hold; new ones are not accepted, removed ones still are.',
    },
  },
  {
    alert: 'NexudusBffApiKeysRejected',
    what: 'it was half-written for a moment',
    series: { client_api_keys_rejected: '0 1 0x10' },
    at: '4m',
  },
];
