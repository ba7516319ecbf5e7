import { URLSearchParams } from 'node:url';
import axios from 'axios';
import axiosRetry from 'axios-retry';
import { ACCOUNT, ATTEMPT_TIMEOUT_MS } from '../setting.js';

/** Shared by those that call Nexudus themselves. */

const PATH = '/api/sys/openaichatmessages';

/** An axios instance with axios-retry, set up as its manual suggests for an API that throttles. */
export async function retryingClient(upstreamUrl) {
  const { data } = await axios.post(
    `${upstreamUrl}/api/token`,
    new URLSearchParams({ grant_type: 'password', ...ACCOUNT }).toString(),
  );
  const client = axios.create({
    baseURL: upstreamUrl,
    timeout: ATTEMPT_TIMEOUT_MS,
    headers: { Authorization: `Bearer ${data.access_token}` },
  });
  axiosRetry(client, {
    retries: 5,
    shouldResetTimeout: true,
    // Takes Retry-After where it is the longer one, with up to a fifth of jitter.
    retryDelay: axiosRetry.exponentialDelay,
    retryCondition: (error) => {
      const status = error.response?.status;
      return axiosRetry.isNetworkError(error) || status === 409 || status === 429 || status >= 500;
    },
  });
  return client;
}

/** Neither knows an outcome that is open: what is not a success is a failure. */
export async function post(client, { businessId, content }, signal) {
  try {
    await client.post(PATH, { BusinessId: businessId, Action: 1, Content: content }, { signal });
    return 'done';
  } catch {
    return 'failed';
  }
}
