import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Problem } from '../problem-details/problem.js';
import { isEntityId, LARGEST_ID } from './chat-message.rules.js';

/**
 * The id of a chat message in the path: plain decimal digits, without leading zeros. A decorator and not a pipe,
 * since Nest runs the pipes of all parameters side by side: the path is to be refused before the body is.
 */
export const MessageId = createParamDecorator((_: unknown, context: ExecutionContext): number => {
  const { id: text = '' } = context
    .switchToHttp()
    .getRequest<FastifyRequest<{ Params: { id?: string } }>>().params;
  const id = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : NaN;
  if (isEntityId(id)) return id;
  const expected = `must be an integer from 1 to ${LARGEST_ID}`;
  throw new Problem('malformed-request', {
    detail: 'The id in the path cannot be one.',
    errors: [{ parameter: 'id', detail: expected }],
  });
});
