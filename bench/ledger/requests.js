import { callers } from './replicas.js';
import { message, SESSIONS } from './setting.js';

/** What is asked of the service, and the only right answers. Each series has names of its own. */

const PATH = '/v1/chat-messages';

/** A create without a key: the ledger has no row for it. */
export function unkeyed(series) {
  return {
    request: (index) => post(index, {}, message(`${series} ${index}`)),
    isRight: (status) => status === 201,
  };
}

/** A create that claims a new key. */
export function keyed(series) {
  return {
    request: (index) => post(index, key(series, index), message(`${series} ${index}`)),
    isRight: (status, headers) => status === 201 && headers['idempotency-replayed'] === undefined,
  };
}

/** The first `count` requests of a keyed series once more. */
export function replay(series, count) {
  const { request } = keyed(series);
  return {
    request: (index) => request(index % count),
    isRight: (status, headers) => status === 201 && headers['idempotency-replayed'] === 'true',
  };
}

/** A create that is handed over. */
export function handedOver(series, onAccepted = () => undefined) {
  return {
    request: (index) =>
      post(
        index,
        { prefer: 'respond-async', ...key(series, index) },
        { ...message(`${series} ${index}`), sessionId: 1 + (index % SESSIONS) },
      ),
    isRight: (status, headers) => {
      if (status === 202) onAccepted(headers.location);
      return status === 202 || status === 201;
    },
  };
}

/** The state of a delivery of the first caller. */
export function status(locations) {
  return {
    request: (index) => ({
      method: 'GET',
      path: locations[index % locations.length],
      headers: authorization(0),
    }),
    isRight: (code) => code === 200,
  };
}

/** A caller's newest deliveries. */
export function list(query) {
  return {
    request: (index) => ({ method: 'GET', path: `/v1/deliveries?${query}`, headers: authorization(index) }),
    isRight: (code) => code === 200,
  };
}

/** Cancels each once. */
export function cancel(locations) {
  return {
    request: (index) => ({ method: 'DELETE', path: locations[index], headers: authorization(0) }),
    isRight: (code) => code === 200 || code === 204,
  };
}

function post(index, headers, body) {
  return {
    method: 'POST',
    path: PATH,
    headers: { ...authorization(index), ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}

function key(series, index) {
  return { 'idempotency-key': `"${series.replaceAll(/\W+/g, '-')}-${index}"` };
}

function authorization(index) {
  return { authorization: `Bearer ${callers[index % callers.length].key}` };
}
