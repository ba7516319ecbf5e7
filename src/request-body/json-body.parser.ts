import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from '../problem-details/problem.js';

/** JSON is UTF-8 (RFC 8259 section 8.1); the media type has no charset parameter that could say otherwise. */
const JSON_UTF8 = /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?;?\s*$/i;

/**
 * Makes `application/json` the only body that is read. Own properties such as `__proto__` stay what they are,
 * names like any other, for the validation to refuse: nothing here or later copies a body by its names.
 */
export function readJsonBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, parse(request, body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
}

function parse(request: FastifyRequest, body: Buffer): unknown {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
  if (type.length > 200 || !JSON_UTF8.test(type) || encoding.toLowerCase() !== 'identity') {
    throw new Problem('unsupported-media-type', {
      detail: 'The body must be application/json in UTF-8, not compressed.',
    });
  }
  // Many clients name the type with every request, a DELETE without a body too.
  if (request.method === 'DELETE' && body.length === 0) return undefined;
  if (!isUtf8(body)) throw new Problem('malformed-request', { detail: 'The body is not UTF-8.' });
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new Problem('malformed-request', { detail: 'The body is not JSON.' });
  }
}
