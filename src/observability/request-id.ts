import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's `X-Request-Id` where it is one that can be logged and sent on as it is; else a new one. */
export function requestIdOf(request: Pick<IncomingMessage, 'headers'>): string {
  const { 'x-request-id': given } = request.headers;
  const id = typeof given === 'string' ? given : randomUUID();
  // Of one that is made here the test makes one string: as it comes from Node, it is a rope of 14, of 400 bytes.
  return REQUEST_ID.test(id) ? id : randomUUID();
}
