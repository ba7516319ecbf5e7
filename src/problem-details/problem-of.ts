import type { FastifyRequest } from 'fastify';
import type { Problem } from './problem.js';
import { toProblem } from './to-problem.js';

/** What a request that failed is answered, by how its message was handed to Nexudus, if it was. */
export function problemOf(failure: unknown, { effort, method }: FastifyRequest): Problem {
  if (effort.attempts === 0) return toProblem(failure);
  return toProblem(failure, method === 'PUT' ? 'replace' : 'create');
}
