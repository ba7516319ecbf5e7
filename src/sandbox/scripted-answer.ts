import {
  type Answer,
  emptyAnswer,
  type FieldError,
  failureBody,
  htmlAnswer,
  jsonAnswer,
  successBody,
  textAnswer,
  throttleAnswer,
} from './answers.js';
import { kindOf, type RecordedCall } from './call.js';
import { isObject } from './message-fields.js';
import { isoSeconds } from './message-store.js';
import { type SandboxSettings } from './sandbox-options.js';
import { type Scenario } from './scenario.js';
import { tokenError } from './token-office.js';

/** Scenarios that need the wire or time, and not just another answer. */
export type WireScenario = Extract<
  Scenario,
  {
    kind:
      | 'lost'
      | 'dropped'
      | 'truncated'
      | 'stalled'
      | 'slow'
      | 'hold'
      | 'hang'
      | 'too-large'
      | 'close-after-answer'
      | 'garbage';
  }
>;

/** Scenarios that are a whole answer, sent like any other. */
export type AnswerScenario = Exclude<Scenario, WireScenario>;

const TITLES: Readonly<Record<number, string>> = {
  403: 'Forbidden',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Time-out',
};

/** The answer of a scenario; `run` tells the truth, and runs the write, for those scenarios that run. */
export function scriptedAnswer(
  scenario: AnswerScenario,
  call: RecordedCall,
  settings: SandboxSettings,
  run: () => Answer,
): Answer {
  const runIf = (executed: boolean): void => {
    if (executed) run();
  };
  switch (scenario.kind) {
    case 'throttle': {
      const { status = settings.throttleStatus, retryAfter = settings.throttleRetryAfter } = scenario;
      return throttleAnswer(status, retryAfter);
    }
    case 'reject':
      return jsonAnswer(400, failureBody(errorsOf(scenario, call), scenario));
    case 'reject-in-200':
      return jsonAnswer(200, failureBody(errorsOf(scenario, call), scenario));
    case 'inner-status': {
      const { status = 500, executed = false } = scenario;
      return altered(executed ? run() : pretendedSuccess(call, settings), { Status: status });
    }
    case 'html': {
      const { status = 502, executed = false } = scenario;
      runIf(executed);
      return htmlAnswer(status, `${status} ${TITLES[status] ?? 'Error'}`);
    }
    case 'error-500':
      runIf(scenario.executed ?? false);
      return jsonAnswer(500, { Message: 'An error has occurred.' });
    case 'empty':
      runIf(scenario.executed ?? (scenario.status >= 200 && scenario.status < 300));
      return emptyAnswer(scenario.status);
    case 'not-json':
      runIf(scenario.executed ?? true);
      return textAnswer(200, 'The message was saved.');
    case 'json':
      runIf(scenario.executed ?? false);
      return jsonAnswer(scenario.status, scenario.body ?? null);
    case 'redirect':
      return emptyAnswer(scenario.status ?? 302, { Location: scenario.location });
    case 'edge-403':
      return htmlAnswer(403, 'Sorry, you have been blocked');
    case 'forbidden':
      return textAnswer(403, 'Forbidden');
    case 'success-without-id':
      return altered(run(), { Value: scenario.value ?? null });
    case 'altered':
      return altered(run(), scenario.change ?? {}, scenario.remove);
    case 'bom': {
      const answer = run();
      return { ...answer, body: `\uFEFF${answer.body}` };
    }
    case 'token-error':
      return tokenError(scenario.error, scenario.description, scenario.status);
  }
}

/** The attempted value is in the default on purpose: it must not get through to a caller. */
function errorsOf({ errors }: { errors?: FieldError[] | null }, call: RecordedCall): FieldError[] | null {
  if (errors !== undefined) return errors;
  const attempted = isObject(call.json) ? call.json['Content'] : null;
  return [{ PropertyName: 'Content', Message: 'was refused by the sandbox', AttemptedValue: attempted }];
}

function pretendedSuccess(call: RecordedCall, settings: SandboxSettings): Answer {
  const id = isObject(call.json) ? (call.json['Id'] ?? 1) : 1;
  const by = { updatedOn: isoSeconds(settings.now()), updatedBy: settings.accounts[0]?.username ?? '' };
  return jsonAnswer(200, successBody(kindOf(call) === 'update' ? 'updated' : 'created', { Id: id }, by));
}

/** A JSON object with some properties replaced or removed; anything else stays as it is. */
function altered(answer: Answer, change: Record<string, unknown>, remove: readonly string[] = []): Answer {
  const body: unknown = answer.body === '' ? undefined : JSON.parse(answer.body);
  if (!isObject(body)) return answer;
  const kept = Object.entries({ ...body, ...change }).filter(([name]) => !remove.includes(name));
  return { ...answer, body: JSON.stringify(Object.fromEntries(kept)) };
}
