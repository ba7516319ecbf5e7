import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { parseIdempotencyKey } from '../idempotency/idempotency-key.js';
import { Problem } from '../problem-details/problem.js';

/** The `Idempotency-Key` of a request, where it has one. A decorator, so that it is refused before the body is. */
export const IdempotencyKey = createParamDecorator(
  (_: unknown, context: ExecutionContext): string | undefined => {
    const header = context.switchToHttp().getRequest<FastifyRequest>().headers['idempotency-key'];
    if (header === undefined) return undefined;
    const key = parseIdempotencyKey(Array.isArray(header) ? header.join(', ') : header);
    if (key !== undefined) return key;
    throw new Problem('malformed-request', {
      detail: 'The header Idempotency-Key must be one key of 1 to 255 visible ASCII characters.',
    });
  },
);
