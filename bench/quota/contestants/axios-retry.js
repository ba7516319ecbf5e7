import { post, retryingClient } from './direct.js';

export const axiosRetryOnly = {
  name: 'axios + axios-retry',
  about:
    'Five retries on network errors, 5xx, 409 and 429, `exponentialDelay` (which honours `Retry-After`), every message at once.',
  start: async (upstreamUrl) => {
    const client = await retryingClient(upstreamUrl);
    return {
      deliver: (message, signal) => post(client, message, signal),
      stop: async () => undefined,
    };
  },
};
