import { cpus } from 'node:os';
import { countFaults } from './faults.js';
import { soonestMs } from './measure.js';
import { CALL_LIMITS, CALLERS, CUT_MS, LATENCY_MS, MESSAGES, SEED, WRITE_LIMITS } from './setting.js';

const COLUMNS = [
  ['Contestant', ({ name }) => name],
  ['Delivered', ({ delivered }) => `${delivered} of ${MESSAGES}`],
  ['Last one after', ({ delivered, deliveredInMs }) => (delivered > 0 ? seconds(deliveredInMs) : '–')],
  ['Ended after', ({ elapsedMs, isCut }) => (isCut ? `cut at ${CUT_MS / 1000} s` : seconds(elapsedMs))],
  ['Calls', ({ attempts }) => attempts],
  ['Throttled', ({ throttled }) => throttled],
  ['Duplicates', ({ duplicates }) => duplicates],
  ['Lost', ({ lost }) => lost],
  [
    'Unknown',
    ({ unknown, unknownAndThere }) => (unknown === 0 ? 0 : `${unknown} (${unknownAndThere} there)`),
  ],
  ['Misreported', ({ misreported }) => misreported],
  ['Budget used', ({ budgetShare }) => `${Math.round(budgetShare * 100)} %`],
];

/** One scenario's results as Markdown. */
export function scenarioReport({ scenario, results }) {
  const rows = results.map((result) => COLUMNS.map(([, value]) => String(value(result))));
  const { lost, failed } = countFaults(scenario.faults, MESSAGES);
  const faults =
    lost + failed > 0
      ? ` Of the first ${MESSAGES} writes, ${lost} lose their answer and ${failed} get a 5xx.`
      : '';
  return [
    `## ${scenario.title}`,
    '',
    `No client can have the last message there before ${seconds(soonestMs(scenario))}.${faults}`,
    '',
    table(
      COLUMNS.map(([title]) => title),
      rows,
    ),
  ].join('\n');
}

/** The whole page; its tables are aligned as prettier would. */
export function page({ contestants, runs, beganAt, command }) {
  const [{ model }] = cpus();
  return `# Quota benchmark

${MESSAGES} messages of ${CALLERS.length} callers, offered at once to a fake Nexudus that throttles: ${WRITE_LIMITS} writes and ${CALL_LIMITS}
calls, which is Nexudus' 60/1m and 120/1m in a tenth of the time. Above that it answers 409 with
\`Retry-After: 1\`, and refused attempts count. A call takes ${LATENCY_MS.from} to ${LATENCY_MS.to} ms. Nexudus' limit of one call in 100 ms is left
out, in favour of those that know nothing of it. The fake runs in a process of its own and is a fresh one for every
line; its latencies and faults are seeded (${SEED}) by order of arrival, the clients' own jitter is not.

- Run: \`${command}\`, ${beganAt.toISOString().slice(0, 10)}, one run each
- Machine: ${cpus().length} cores, ${model.trim()}, Node.js ${process.version}

${contestants.map(({ name, about }) => `- **${name}**: ${about}`).join('\n')}

${READING}

${runs.map(scenarioReport).join('\n\n')}
`;
}

const READING = `Reading the tables:

- In a tenth of the time, whatever is absolute weighs ten times as much: the seconds of \`Retry-After\`, the second that
  this service allows for a lost answer to be counted late, the start of the clients.
- **Last one after**: from the offer until the last of the delivered messages reached Nexudus.
- **Throttled**: 409 answers. Nexudus counts them against the account.
- **Duplicates**: records beyond the first with the same content.
- **Lost**: not there, and not reported as unknown, though nothing stood in the way of sending it again.
- **Unknown**: reported as such, never sent again; in brackets, how many of them are there.
- **Misreported**: said to have failed but there, or said to be done but not there.
- **Budget used**: writes that ran, of those that the windows allowed until the contestant ended.`;

function table(titles, rows) {
  const widths = titles.map((title, index) =>
    Math.max(title.length, ...rows.map((cells) => cells[index].length)),
  );
  const line = (cells) =>
    `| ${cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]) : cell.padStart(widths[index]))).join(' | ')} |`;
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(titles), line(rule), ...rows.map(line)].join('\n');
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}
