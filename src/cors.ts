import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

const REQUEST_HEADERS = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'Prefer',
  'traceparent',
  'tracestate',
  'X-Request-Id',
];
const RESPONSE_HEADERS = [
  'Location',
  'X-Request-Id',
  'Idempotency-Replayed',
  'Preference-Applied',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'WWW-Authenticate',
];
/** Chromium keeps a preflight no longer than this. */
const PREFLIGHT_MAX_AGE_S = 7_200;

/**
 * Lets web pages of exactly these origins call, and read problems too: a preflight is answered before authentication,
 * since it carries none. Without origins there is no CORS. No cookies are used, so none are allowed.
 */
export async function allowOrigins(server: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await server.register(cors, {
    origin: [...origins],
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: REQUEST_HEADERS,
    exposedHeaders: RESPONSE_HEADERS,
    maxAge: PREFLIGHT_MAX_AGE_S,
    // Its refusal would be the one answer that is no problem document.
    strictPreflight: false,
  });
}
