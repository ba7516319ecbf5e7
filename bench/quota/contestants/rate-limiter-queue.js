import { RateLimiterMemory, RateLimiterQueue } from 'rate-limiter-flexible';
import { PERIOD_MS, WRITE_LIMIT } from '../setting.js';
import { post, retryingClient } from './direct.js';

export const rateLimiterQueue = {
  name: 'axios + axios-retry + rate-limiter-flexible',
  about:
    'The same behind a `RateLimiterQueue` on a `RateLimiterMemory` with the limit itself as points and duration; retries take a point, too.',
  start: async (upstreamUrl) => {
    const client = await retryingClient(upstreamUrl);
    const queue = new RateLimiterQueue(
      new RateLimiterMemory({ points: WRITE_LIMIT, duration: PERIOD_MS / 1_000 }),
    );
    // An interceptor runs for every attempt. A point per message alone would leave the retries unlimited.
    client.interceptors.request.use(async (config) => {
      await queue.removeTokens(1);
      return config;
    });
    return {
      deliver: (message, signal) => post(client, message, signal),
      stop: async () => undefined,
    };
  },
};
