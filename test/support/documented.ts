import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** The description that is committed: what callers generate their clients from. */
export const DOCUMENT = JSON.parse(readFileSync('openapi.json', 'utf8')) as OpenApi;

interface Header {
  readonly required?: boolean;
  readonly schema: { readonly type: string };
}

interface Response {
  readonly headers: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, object>>;
}

interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          { readonly operationId: string; readonly responses: Readonly<Record<string, Response>> }
        >
      >
    >
  >;
  readonly components: {
    readonly headers: Readonly<Record<string, Header>>;
    readonly schemas: Readonly<Record<string, object>>;
  };
}

/** What an answer is judged by. */
interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

// Not strict: the document is more than a schema. What stands in its schemas is looked at by Redocly.
const ajv = new Ajv2020({ allErrors: true, strict: false });
addFormats.default(ajv);
ajv.addSchema({ ...DOCUMENT, $id: 'openapi' }, undefined, undefined, false);

const ROUTES = Object.entries(DOCUMENT.paths).map(([path, operations]) => ({
  path,
  operations,
  pattern: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
}));
const PARTS_OF_THE_PAGE = /^\/docs\/./;

/** A check for values by a schema of the document, whole or at a pointer into it. */
export function checkBy(pointer: string): ValidateFunction {
  // Closed: whatever is not described is a leak.
  return compiled(pointer, { unevaluatedProperties: false });
}

const checks = new Map<string, ValidateFunction>();

function compiled(pointer: string, more: object): ValidateFunction {
  let check = checks.get(pointer);
  if (check === undefined) {
    check = ajv.compile({ $ref: `openapi#${pointer}`, ...more });
    checks.set(pointer, check);
  }
  return check;
}

/**
 * Everything about an answer that is not as `openapi.json` says; empty where it is. Of a request that no operation is
 * for, it is asked that the answer is one of the problems that say so.
 */
export function contradictions({ method, path: target, status, headers, text }: Exchange): string[] {
  const path = target.split('?')[0] ?? target;
  const route = ROUTES.find(({ pattern }) => pattern.test(path));
  const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
  const operation = route?.operations[verb];
  if (route === undefined || operation === undefined) {
    // A browser's question whether it may ask.
    if (method === 'OPTIONS' && status === 204) return [];
    if (PARTS_OF_THE_PAGE.test(path) && status === 200) return [];
    if (status >= 400 && method === 'HEAD') return [];
    return status >= 400
      ? bodyFaults('/components/schemas/Problem', text)
      : [`no operation is documented for ${method} ${path}, yet it was answered with ${status}`];
  }
  const response = operation.responses[String(status)];
  if (response === undefined) return [`${operation.operationId} does not document a ${status}`];
  const at = `/paths/${escaped(route.path)}/${verb}/responses/${status}`;
  return [
    ...headerFaults(response, headers),
    ...(method === 'HEAD' ? [] : contentFaults(at, response, headers.get('content-type'), text)),
  ];
}

function headerFaults(response: Response, headers: Headers): string[] {
  return Object.entries(response.headers).flatMap(([name, { $ref }]) => {
    const component = $ref.slice($ref.lastIndexOf('/') + 1);
    const header = DOCUMENT.components.headers[component];
    const value = headers.get(name);
    if (value === null) return header?.required ? [`the header ${name} is missing`] : [];
    const isValid = compiled(`/components/headers/${escaped(component)}/schema`, {});
    return isValid(header?.schema.type === 'integer' ? Number(value) : value)
      ? []
      : [`the header ${name}: ${value} ${faultsOf(isValid)}`];
  });
}

function contentFaults(
  at: string,
  { content }: Response,
  contentType: string | null,
  text: string,
): string[] {
  if (content === undefined) return text === '' ? [] : ['a body came where none is documented'];
  const mediaType = contentType?.split(';')[0] ?? 'none';
  if (content[mediaType] === undefined) return [`the media type ${mediaType} is not documented`];
  if (mediaType === 'text/event-stream') return eventFaults(text);
  return mediaType.endsWith('json') ? bodyFaults(`${at}/content/${escaped(mediaType)}/schema`, text) : [];
}

/** Of server-sent events, comments aside: each is a delivery. OpenAPI 3.1 has no words for that. */
function eventFaults(text: string): string[] {
  const blocks = text.split('\n\n');
  if (blocks.pop() !== '') return ['the last event is cut off'];
  const events = blocks
    .map((block) => block.split('\n').filter((line) => !line.startsWith(':')))
    .filter((lines) => lines.length > 0);
  if (events.length === 0) return ['there is no event'];
  return events.flatMap((lines) => {
    const [type, data, ...more] = lines;
    if (type !== 'event: state' || data?.startsWith('data: ') !== true || more.length > 0)
      return [`the event ${lines.join('|')} is not documented`];
    return bodyFaults('/components/schemas/Delivery', data.slice('data: '.length));
  });
}

function bodyFaults(pointer: string, text: string): string[] {
  const isValid = checkBy(pointer);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return ['the body is not JSON'];
  }
  return isValid(body) ? [] : [`the body ${faultsOf(isValid)}: ${text.slice(0, 1_000)}`];
}

/** For a person: of alternatives, only those of the kind that the value says it is. */
function faultsOf({ errors }: ValidateFunction): string {
  const all = (errors ?? []).filter(({ keyword }) => keyword !== 'oneOf');
  const kindOf = (schemaPath: string): string => schemaPath.replace(/\/properties\/.*/, '');
  const otherKinds = all.filter(({ instancePath }) => instancePath === '/type');
  const faults = all.filter(
    ({ schemaPath, keyword }) =>
      keyword !== 'unevaluatedProperties' &&
      !otherKinds.some((other) => kindOf(other.schemaPath) === kindOf(schemaPath)),
  );
  return (faults.length > 0 ? faults : all)
    .slice(0, 5)
    .map(({ instancePath, message = '', params }) => `${instancePath} ${message} ${JSON.stringify(params)}`)
    .join('; ');
}

/** RFC 6901, in a URI fragment. */
function escaped(token: string): string {
  return encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1'));
}
