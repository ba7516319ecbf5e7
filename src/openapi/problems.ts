import { Environment } from '../config/environment.js';
import { PROBLEM_TYPES, type ProblemSlug } from '../problem-details/problem.catalogue.js';
import type { Problem } from '../problem-details/problem.js';
import { PROBLEM_MEDIA_TYPE } from '../problem-details/problem.responder.js';
import type { Response, Schema } from './describe.js';
import { HEADERS, type HeaderName, headers } from './headers.js';
import {
  type ProblemExample,
  PROBLEMS_OF,
  PROBLEMS_OF_LOOKING_UP,
  PROBLEMS_OF_NO_OPERATION,
} from './problem.examples.js';

const { PROBLEM_TYPE_BASE_URL } = new Environment();
const REQUEST_ID = HEADERS['X-Request-Id'].example;

const SLUGS = Object.keys(PROBLEM_TYPES) as ProblemSlug[];
const ALL = [...Object.values(PROBLEMS_OF).flat(), ...PROBLEMS_OF_LOOKING_UP, ...PROBLEMS_OF_NO_OPERATION];

/** One schema for each kind of problem, and `Problem` for all of them together. */
export const PROBLEM_SCHEMAS: Readonly<Record<string, Schema>> = {
  ...Object.fromEntries(SLUGS.map((slug) => [nameOf(slug), kindOf(slug)])),
  Problem: {
    description: 'Any problem of the catalogue, told apart by `type`.',
    oneOf: SLUGS.map(referenceTo),
  },
};

/**
 * The answers for what can go wrong, by their status.
 *
 * @param more headers that any of them can carry
 */
export function problemResponses(
  path: string,
  examples: readonly ProblemExample[],
  more: readonly HeaderName[] = [],
): Record<string, Response> {
  const statuses = [...new Set(examples.map(({ problem }) => problem.type.status))];
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      responseOf(
        path,
        examples.filter(({ problem }) => problem.type.status === status),
        more,
      ),
    ]),
  );
}

/** For whatever else comes: from a later version, or for a request that no operation is for. */
export const OTHER_PROBLEMS: Response = {
  description:
    'Any other problem. A later version may add kinds: decide by `outcome` and `retryable`, which all of them have. A path that is not served answers 404 `not-found`; one that is not served with this method answers 405 `method-not-allowed`, with `Allow`.',
  headers: headers('Allow'),
  content: {
    [PROBLEM_MEDIA_TYPE]: {
      schema: { $ref: '#/components/schemas/Problem' },
      examples: exampleObjects('/v1/chat-messages', PROBLEMS_OF_NO_OPERATION),
    },
  },
};

function responseOf(
  path: string,
  examples: readonly ProblemExample[],
  more: readonly HeaderName[],
): Response {
  const slugs = [...new Set(examples.map(({ problem }) => problem.slug))];
  const schemas = slugs.map((slug) =>
    narrowed(
      slug,
      examples.filter(({ problem }) => problem.slug === slug),
    ),
  );
  return {
    description: slugs.map((slug) => `\`${slug}\`: ${PROBLEM_TYPES[slug].explanation}`).join('\n\n'),
    headers: headers(
      ...more,
      ...examples.flatMap(({ problem }) => Object.keys(problem.headers).map(headerName)),
      ...(examples.some(({ problem }) => isStored(problem)) ? (['Idempotency-Replayed'] as const) : []),
    ),
    content: {
      [PROBLEM_MEDIA_TYPE]: {
        schema: schemas.length === 1 && schemas[0] !== undefined ? schemas[0] : { oneOf: schemas },
        examples: exampleObjects(path, examples),
      },
    },
  };
}

/** What a repeat with the same key gets again: a refusal of Nexudus, and a create whose outcome is not known. */
function isStored({ outcome, occurrence, type }: Problem): boolean {
  return outcome === 'rejected' || (outcome === 'unknown' && !(occurrence.retryable ?? type.retryable));
}

function headerName(name: string): HeaderName {
  const known = Object.keys(HEADERS).find((header) => header.toLowerCase() === name);
  if (known === undefined) throw new Error(`The header ${name} is not described`);
  return known as HeaderName;
}

function exampleObjects(path: string, examples: readonly ProblemExample[]): object {
  return Object.fromEntries(
    examples.map(({ name, problem }) => [
      name,
      {
        summary: problem.type.title,
        value: problem.toBody(PROBLEM_TYPE_BASE_URL, { path, id: REQUEST_ID }),
      },
    ]),
  );
}

/** A kind of problem: its type and status, and of outcome and retryable what the examples show. */
function kindOf(slug: ProblemSlug): Schema {
  const { title, status, explanation } = PROBLEM_TYPES[slug];
  return {
    title,
    description: explanation,
    type: 'object',
    allOf: [{ $ref: '#/components/schemas/ProblemDetails' }],
    required: ['type', 'status', 'outcome', 'retryable'],
    properties: {
      type: { const: PROBLEM_TYPE_BASE_URL + slug },
      status: { const: status },
      ...decision(ALL.filter(({ problem }) => problem.slug === slug)),
    },
  };
}

/** A kind of problem where one operation says more about it than the kind does. */
function narrowed(slug: ProblemSlug, here: readonly ProblemExample[]): Schema {
  const kind = decision(ALL.filter(({ problem }) => problem.slug === slug));
  const said = Object.entries(decision(here)).filter(
    ([name, schema]) => JSON.stringify(schema) !== JSON.stringify(kind[name as keyof typeof kind]),
  );
  return said.length === 0
    ? referenceTo(slug)
    : {
        allOf: [referenceTo(slug)],
        required: said.map(([name]) => name),
        properties: Object.fromEntries(said),
      };
}

function decision(examples: readonly ProblemExample[]): { outcome: Schema; retryable: Schema } {
  const outcomes = [...new Set(examples.map(({ problem }) => problem.outcome))];
  const [retryable, ...others] = new Set(
    examples.map(({ problem }) => problem.occurrence.retryable ?? problem.type.retryable),
  );
  return {
    outcome: outcomes.length === 1 ? { const: outcomes[0] } : { enum: outcomes.sort() },
    retryable: others.length === 0 ? { const: retryable } : { type: 'boolean' },
  };
}

function referenceTo(slug: ProblemSlug): { $ref: string } {
  return { $ref: `#/components/schemas/${nameOf(slug)}` };
}

/** `quota-exhausted` as `QuotaExhausted`. */
function nameOf(slug: ProblemSlug): string {
  return slug
    .split('-')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}
