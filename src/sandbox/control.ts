import { type Answer, jsonAnswer } from './answers.js';
import { type RecordedCall, TOKEN_PATH } from './call.js';
import { isObject } from './message-fields.js';
import { type Scenario, type ScenarioTarget, scenarioTargets } from './scenario.js';
import { readScenario, scenarioCatalogue } from './scenario-catalogue.js';

/** What the control pages need of the fake; named here, since the fake itself uses this file. */
export interface Controlled {
  readonly calls: readonly RecordedCall[];
  readonly messages: ReadonlyMap<number, unknown>;
  next(scenario: Scenario, options: { times: number; on: ScenarioTarget }): void;
  always(scenario: Scenario, options: { on: ScenarioTarget }): void;
  clearScenarios(): void;
  release(): void;
  revokeAccessTokens(username?: string): void;
  revokeRefreshTokens(username?: string): void;
}

const HELP = {
  what: 'A fake Nexudus. Nothing here is real.',
  'GET /sandbox/calls': 'what it received',
  'GET /sandbox/messages': 'what it holds',
  'POST /sandbox/scenarios':
    '{ "scenario": { "kind": "lost" }, "times": 1 | "always", "on": "write" }: what happens to the next calls',
  'DELETE /sandbox/scenarios': 'the truth again',
  'POST /sandbox/release': 'lets calls go on that hang',
  'POST /sandbox/revoke': '{ "what": "access" | "refresh" | "both", "username": "…" }: tokens die at once',
  on: scenarioTargets,
  scenarios: Object.fromEntries(Object.entries(scenarioCatalogue).map(([kind, { line }]) => [kind, line])),
};

/** Is it a page for the person at the fake, and no call to Nexudus? */
export function isControl(path: string): boolean {
  return path === '/sandbox' || path.startsWith('/sandbox/');
}

/** Answers the control pages. */
export function controlAnswer(sandbox: Controlled, method: string, path: string, body: string): Answer {
  try {
    switch (`${method} ${path}`) {
      case 'GET /sandbox':
        return page(200, HELP);
      case 'GET /sandbox/calls':
        return page(200, sandbox.calls.map(withoutSecrets));
      case 'GET /sandbox/messages':
        return page(200, [...sandbox.messages.values()]);
      case 'POST /sandbox/scenarios':
        return page(201, queue(sandbox, readObject(body)));
      case 'DELETE /sandbox/scenarios':
        sandbox.clearScenarios();
        return page(200, { done: 'Every call gets the true answer again.' });
      case 'POST /sandbox/release':
        sandbox.release();
        return page(200, { done: 'Calls that hung go on.' });
      case 'POST /sandbox/revoke':
        return page(200, revoke(sandbox, readObject(body)));
      default:
        return page(404, { error: `There is no ${method} ${path}.`, help: 'GET /sandbox' });
    }
  } catch (error) {
    return page(400, { error: error instanceof Error ? error.message : 'unreadable', help: 'GET /sandbox' });
  }
}

function queue(sandbox: Controlled, order: Record<string, unknown>): unknown {
  const scenario = readScenario(order['scenario']);
  const { times = 1, on = 'write' } = order;
  if (!isTarget(on)) throw new Error(`"on" must be one of ${scenarioTargets.join(', ')}`);
  if (times === 'always') sandbox.always(scenario, { on });
  else if (typeof times === 'number' && Number.isInteger(times) && times > 0)
    sandbox.next(scenario, { times, on });
  else throw new Error('"times" must be a whole number of 1 or more, or "always"');
  return { scenario, times, on };
}

function revoke(sandbox: Controlled, order: Record<string, unknown>): unknown {
  const { what = 'access', username } = order;
  if (what !== 'access' && what !== 'refresh' && what !== 'both') {
    throw new Error('"what" must be access, refresh or both');
  }
  if (username !== undefined && typeof username !== 'string') throw new Error('"username" must be a string');
  if (what !== 'refresh') sandbox.revokeAccessTokens(username);
  if (what !== 'access') sandbox.revokeRefreshTokens(username);
  return { revoked: what };
}

function readObject(body: string): Record<string, unknown> {
  const value: unknown = body.trim() === '' ? {} : JSON.parse(body);
  if (!isObject(value)) throw new Error('the body must be a JSON object');
  return value;
}

function isTarget(on: unknown): on is ScenarioTarget {
  return scenarioTargets.some((target) => target === on);
}

/** A call as a person may see it: no token, no password. */
function withoutSecrets(call: RecordedCall): Record<string, unknown> {
  const { authorization, ...headers } = call.headers;
  const isToken = call.path.toLowerCase() === TOKEN_PATH;
  return {
    ...call,
    query: Object.fromEntries(call.query),
    headers: authorization === undefined ? headers : { ...headers, authorization: '(hidden)' },
    body: isToken ? hiddenForm(call.body) : call.body,
    json: isToken ? undefined : call.json,
    status: call.status ?? 'pending',
  };
}

/** Only what is harmless stays: a broken client may put a password into any field. */
function hiddenForm(body: string): Record<string, string> {
  const shown = ['grant_type', 'username'];
  return Object.fromEntries(
    [...new URLSearchParams(body)].map(([name, value]) =>
      shown.includes(name) ? [name, value] : [name.slice(0, 40), '(hidden)'],
    ),
  );
}

function page(status: number, body: unknown): Answer {
  return { ...jsonAnswer(status, body), body: `${JSON.stringify(body, null, 2)}\n` };
}
