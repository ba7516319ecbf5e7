import { isRight } from './answers.js';
import autocannon from 'autocannon';

/** The load where wrk is not there. Slower than wrk, so that the fastest contestants may be limited by it. */

const { url, authorizations, body, idempotencyKey, keysAreNew, expect, seconds, connections, timeoutS } =
  JSON.parse(process.argv[2]);
let wrong = 0;
let sample = '';
let sent = 0;

const result = await autocannon({
  url,
  connections,
  duration: seconds,
  timeout: timeoutS,
  requests: [{ method: 'POST', body, setupRequest, onResponse }],
});
process.stdout.write(
  JSON.stringify({
    requests: result.requests.total,
    perSecond: result.requests.total / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    wrong,
    broken: result.errors,
    sample,
  }),
);

function setupRequest(request) {
  sent += 1;
  const headers = {
    authorization: authorizations[sent % authorizations.length],
    'content-type': 'application/json',
  };
  if (keysAreNew) headers['idempotency-key'] = `"${idempotencyKey}-${sent}"`;
  else if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
  return { ...request, headers };
}

function onResponse(status, text, _context, headers) {
  if (isRight(expect, status, text, headers)) return;
  wrong += 1;
  if (wrong === 1) sample = `${status} ${text.slice(0, 300)}`;
}
