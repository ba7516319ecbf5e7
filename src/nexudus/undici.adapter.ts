import { AxiosHeaders, type AxiosAdapter } from 'axios';
import type { UndiciExchange } from './undici.exchange.js';
import type { UpstreamCall } from './wire.js';

declare module 'axios' {
  interface AxiosRequestConfig {
    /** See {@link UpstreamCall}. */
    startWithinMs?: number | undefined;
    isWanted?: (() => boolean) | undefined;
  }
}

const NO_HEADERS = new AxiosHeaders();

/**
 * An axios adapter on an {@link UndiciExchange}: no redirects, no decompression, no proxy look-up. It never rejects:
 * `data` of the response is always a `WireResult`.
 */
export function undiciAdapter(exchange: UndiciExchange): AxiosAdapter {
  return async (config) => {
    const { method = 'get', url = '/', headers, timeout = 0, startWithinMs, isWanted } = config;
    const result = await exchange.send({
      method: method.toUpperCase() as UpstreamCall['method'],
      path: url,
      headers: headers.toJSON() as Record<string, string>,
      timeoutMs: timeout,
      ...(typeof config.data === 'string' && { body: config.data }),
      ...(startWithinMs !== undefined && { startWithinMs }),
      ...(isWanted && { isWanted }),
    });
    const status = result.kind === 'answer' ? result.status : 0;
    return { data: result, status, statusText: '', headers: NO_HEADERS, config };
  };
}
