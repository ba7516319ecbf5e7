import type { Fault } from './checker.js';
import type { DrillResult } from './drill.js';
import { deliveryIdOf, type History, type Message, type Request } from './history.js';

/** One line on how a run went. */
export function summary({ seed, faults, history, settledAfterMs }: DrillResult): string {
  const { messages, calls, ledger, disturbances } = history;
  const states = new Map<string, number>();
  for (const { state } of ledger) states.set(state, (states.get(state) ?? 0) + 1);
  const written = calls.filter(({ executed }) => executed).length;
  const kept = [...states].map(([state, count]) => `${count} ${state}`).join(', ');
  const handedOver = messages.filter(({ requests }) =>
    requests.some(({ answer }) => answer?.status === 202),
  ).length;
  return (
    `seed ${seed}: ${faults.length === 0 ? 'kept' : `${faults.length} FAULTS`}; ` +
    `${messages.length} messages, ${handedOver} handed over, ${written} written, ledger: ${kept}; ` +
    `${disturbances.length} disturbances; settled after ${(settledAfterMs / 1000).toFixed(1)} s`
  );
}

/** All that is known of the faults of a run, for a person who looks for the cause. */
export function story({ faults, history }: DrillResult): string {
  const startMs = Math.min(...history.messages.flatMap(({ requests }) => requests.map(({ atMs }) => atMs)));
  const at = (timeMs: number | undefined): string =>
    timeMs === undefined ? '?' : `${((timeMs - startMs) / 1000).toFixed(3)} s`;
  const lines = history.disturbances.map(
    ({ replica, what, atMs, untilMs }) => `  ${at(atMs)} to ${at(untilMs)}  ${replica}: ${what}`,
  );
  return [
    'Disturbances:',
    ...lines,
    ...faults.flatMap((fault) => ['', ...faultLines(fault, history, at)]),
  ].join('\n');
}

function faultLines(fault: Fault, history: History, at: (timeMs: number | undefined) => string): string[] {
  const { promise, what, content } = fault;
  const message = history.messages.find((one) => one.content === content);
  return [
    `NOT KEPT: ${promise}: ${what}`,
    ...(message === undefined ? [] : messageLines(message, history, at)),
  ];
}

function messageLines(
  message: Message,
  history: History,
  at: (timeMs: number | undefined) => string,
): string[] {
  const { content, mode, operation, key, order } = message;
  const told = (name: string, request: Request | undefined): string[] =>
    request === undefined
      ? []
      : [`  ${at(request.atMs)} to ${at(request.endedAtMs)}  ${name} ${request.replica}: ${heard(request)}`];
  const row = history.ledger.find(({ id }) => id === deliveryIdOf(message));
  return [
    `  "${content}" (${mode} ${operation}, key ${key ?? 'none'}, ${order ?? 'no order'})`,
    ...shortened(message.requests.flatMap((request) => told('to', request))),
    ...told('cancelled at', message.cancel),
    ...shortened(
      history.calls
        .filter(({ json }) => (json as { Content?: string } | undefined)?.Content === content)
        .map(
          ({ receivedAtMs, method, executed, status = 'not yet' }) =>
            `  ${at(receivedAtMs)}  Nexudus: ${method}, ${executed ? 'written' : 'not written'}, answered ${status}`,
        ),
    ),
    ...(row === undefined
      ? []
      : [
          `  ledger: ${JSON.stringify({ ...row, settledAtMs: undefined })}, settled at ${at(row.settledAtMs)}`,
        ]),
    ...told('followed at', message.followed),
    ...told('repeated at', message.repeated),
  ];
}

function heard({ answer, failure = 'no answer' }: Request): string {
  if (answer === undefined) return failure;
  const { status, body, text, replayed } = answer;
  const { type, outcome } = body;
  const what =
    typeof type === 'string' ? `${type.split('/').at(-1) ?? ''}, ${String(outcome)}` : text.slice(0, 200);
  return `${status} ${what}${replayed ? ' (replayed)' : ''}`;
}

/** Of many, the first and the last. */
function shortened(lines: readonly string[]): readonly string[] {
  if (lines.length <= 12) return lines;
  return [...lines.slice(0, 6), `  ... ${lines.length - 10} more ...`, ...lines.slice(-4)];
}
