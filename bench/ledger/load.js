import { performance } from 'node:perf_hooks';
import { Pool } from 'undici';

const TIMEOUT_MS = 30_000;

/**
 * @typedef {object} Request
 * @property {'GET' | 'POST' | 'DELETE'} method
 * @property {string} path
 * @property {Record<string, string>} headers
 * @property {string} [body]
 */

/**
 * @typedef {object} Load
 * @property {readonly string[]} urls of the replicas, which get the connections in turn
 * @property {number} connections each sends its next request when it has its answer
 * @property {number} seconds
 * @property {(index: number) => Request} request counted from 0
 * @property {(status: number, headers: Record<string, string>, text: string) => boolean} isRight
 * @property {number} [most] ends earlier after so many requests
 */

/**
 * @param {Load} load
 * @throws when anything but a right answer came
 */
export async function load({ urls, connections, seconds, request, isRight, most = Infinity }) {
  const pools = urls.map(
    (url) =>
      new Pool(url, {
        connections: Math.ceil(connections / urls.length),
        headersTimeout: TIMEOUT_MS,
        bodyTimeout: TIMEOUT_MS,
      }),
  );
  const tookMs = [];
  let sent = 0;
  const beganAtMs = performance.now();
  const worker = async (pool) => {
    while (performance.now() - beganAtMs < seconds * 1000 && sent < most) {
      const index = sent;
      sent += 1;
      const startedAtMs = performance.now();
      const { statusCode, headers, body } = await pool.request(request(index));
      const text = await body.text();
      tookMs.push(performance.now() - startedAtMs);
      if (!isRight(statusCode, headers, text)) {
        throw new Error(`Request ${index}: wrong answer ${statusCode} ${text.slice(0, 300)}`);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, (_, index) => worker(pools[index % pools.length])));
  } finally {
    await Promise.all(pools.map((pool) => pool.destroy()));
  }
  const elapsedMs = performance.now() - beganAtMs;
  tookMs.sort((a, b) => a - b);
  return {
    requests: tookMs.length,
    perSecond: (tookMs.length / elapsedMs) * 1000,
    p50Ms: percentile(tookMs, 0.5),
    p99Ms: percentile(tookMs, 0.99),
  };
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
