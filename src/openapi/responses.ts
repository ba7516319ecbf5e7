import type { Response, Schema } from './describe.js';
import { PROBLEMS_OF, type Purpose } from './problem.examples.js';
import { OTHER_PROBLEMS, problemResponses } from './problems.js';

/** A body of JSON, with one example. */
export function json(schema: Schema, value: unknown): NonNullable<Response['content']> {
  return { 'application/json': { schema, examples: { example: { value } } } };
}

/** Everything that can go wrong with an operation, by status. */
export function problemsOf(purpose: Purpose, path: string): Record<string, Response> {
  const isWrite = purpose === 'create' || purpose === 'replace';
  const more = isWrite ? (['Preference-Applied'] as const) : [];
  return { ...problemResponses(path, PROBLEMS_OF[purpose], more), default: OTHER_PROBLEMS };
}
