import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, URL } from 'node:url';
import { putSettled, putWaiting } from './backlog.js';
import { load } from './load.js';
import { startPostgres } from './postgres.js';
import { startReplicas } from './replicas.js';
import { page, tables } from './report.js';
import { cancel, handedOver, keyed, list, replay, status, unkeyed } from './requests.js';
import { BACKLOG_REPLICAS, CALLERS, CLOSED, CONNECTIONS, FULL, OPEN, QUICK, REPLICAS } from './setting.js';
import { forgetStatements, statements, work } from './statements.js';
import { startUpstream } from './upstream.js';

const PAGE = new URL('../../docs/benchmarks-ledger.md', import.meta.url);
const IS_QUICK = process.argv.includes('--quick');
const HOW_LONG = IS_QUICK ? QUICK : FULL;
const DRAIN_LOOK_MS = 50;
const SAMPLES_WITHIN_S = 10;
const EMPTIED_WITHIN_S = 60;

// Each replica has one on the exit.
process.setMaxListeners(0);
// An ordinary exit, so that the children's handles end them.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const beganAt = new Date();
const upstream = await startUpstream();
const postgres = await startPostgres();
let result;
try {
  const setups = [await withoutDatabase()];
  for (const count of REPLICAS) setups.push(await withDatabase(count));
  const backlogs = [];
  for (const backlog of backlogsToPut()) backlogs.push(await behind(backlog));
  result = { setups, backlogs };
} finally {
  await postgres.stop();
  await upstream.stop();
}
const report = { ...result, beganAt, howLong: HOW_LONG, isQuick: IS_QUICK, postgres };
console.log(tables(report));
if (!IS_QUICK) {
  await writeFile(PAGE, page(report));
  console.error(`Written to ${fileURLToPath(PAGE)}`);
}

async function withoutDatabase() {
  const title = '1, no database';
  const replicas = await start({ count: 1, writeLimits: OPEN });
  try {
    return { title, ...(await synchronous(title, replicas.urls)) };
  } finally {
    await replicas.stop();
  }
}

async function withDatabase(count) {
  const title = String(count);
  const database = await postgres.createDatabase();
  try {
    const replicas = await start({ count, database, writeLimits: OPEN });
    const sync = await synchronous(title, replicas.urls, database).finally(replicas.stop);
    return { title, ...sync, ...(await asynchronous(title, count, database)) };
  } finally {
    await database.close();
  }
}

/** The same questions with nothing behind and with a lot; what is compared is the one with the other. */
async function behind({ title, settled, waiting, sessions }) {
  console.error(`${title} behind it …`);
  const database = await postgres.createDatabase();
  try {
    await takeSamples(title, database);
    await putSettled(database, settled);
    await putWaiting(database, waiting, sessions);
    await database.settle();
    await forgetStatements(database);
    const closed = await start({ count: BACKLOG_REPLICAS, database, writeLimits: CLOSED });
    const accepting = await asked(title, closed.urls, database).finally(closed.stop);
    await upstream.forget();
    const open = await start({ count: BACKLOG_REPLICAS, database, writeLimits: OPEN });
    try {
      const sent = waiting > 0 ? await drained(HOW_LONG.drainS, waiting) : await emptied(database);
      const serving = await synchronous(title, open.urls, database);
      return { title, ...accepting, drained: sent, ...serving, statements: await statements(database) };
    } finally {
      await open.stop();
    }
  } finally {
    await database.close();
  }
}

/** Some that are settled, and then some that wait: for the backlog, which is made of their copies. */
async function takeSamples(title, database) {
  const some = { connections: 1, seconds: Infinity, most: CALLERS };
  const open = await start({ count: 1, database, writeLimits: OPEN });
  try {
    await upstream.forget();
    await load({ ...some, urls: open.urls, ...keyed(`${title} settled`) });
    await load({ ...some, urls: open.urls, ...handedOver(`${title} sent`) });
    await drained(SAMPLES_WITHIN_S, 2 * CALLERS);
  } finally {
    await open.stop();
  }
  const closed = await start({ count: 1, database, writeLimits: CLOSED });
  await load({ ...some, urls: closed.urls, ...handedOver(`${title} waiting`) }).finally(closed.stop);
}

function backlogsToPut() {
  const { settled, waiting } = HOW_LONG;
  const title = (count) => count.toLocaleString('en-US');
  return [
    { title: 'nothing', settled: 0, waiting: 0, sessions: 'many' },
    { title: `${title(settled + waiting)} rows`, settled, waiting, sessions: 'many' },
    { title: `${title(waiting)} of one session`, settled: 0, waiting, sessions: 'one' },
  ];
}

/** Creates without a key, with a new one, and with an old one; and those of one caller alone, for the latency. */
async function synchronous(title, urls, database) {
  console.error(`${title}: synchronous creates …`);
  const { loadS: seconds, warmUpS } = HOW_LONG;
  const series = `${title} sync`;
  await load({ urls, connections: CONNECTIONS, seconds: warmUpS, ...unkeyed(`${series} warm-up`) });
  const quiet = { urls, connections: 1, seconds };
  const busy = { urls, connections: CONNECTIONS, seconds };
  const one = {
    unkeyed: await load({ ...quiet, ...unkeyed(`${series} one`) }),
    keyed: await load({ ...quiet, ...keyed(`${series} one keyed`) }),
  };
  one.replay = await load({ ...quiet, ...replay(`${series} one keyed`, one.keyed.requests) });
  const many = {
    unkeyed: await counted(database, () => load({ ...busy, ...unkeyed(`${series} many`) })),
    keyed: await counted(database, () => load({ ...busy, ...keyed(`${series} many keyed`) })),
  };
  many.replay = await counted(database, () =>
    load({ ...busy, ...replay(`${series} many keyed`, many.keyed.requests) }),
  );
  once(await upstream.writes());
  return { one, many };
}

/** Hands over with closed windows, then opens them. */
async function asynchronous(title, count, database) {
  console.error(`${title}: deliveries …`);
  const { deliveries, drainS, loadS } = HOW_LONG;
  const series = `${title} async`;
  const locations = [];
  const closed = await start({ count, database, writeLimits: CLOSED });
  const accepted = await counted(database, () =>
    load({
      urls: closed.urls,
      connections: CONNECTIONS,
      seconds: loadS * 3,
      most: deliveries,
      ...handedOver(series, (location) => locations.push(location)),
    }),
  ).finally(closed.stop);
  await upstream.forget();
  const open = await start({ count, database, writeLimits: OPEN });
  try {
    return { accepted, drained: await drained(drainS, locations.length) };
  } finally {
    await open.stop();
  }
}

/** What may be asked of a service whose windows are closed. */
async function asked(title, urls, database) {
  console.error(`${title}: with closed windows …`);
  const { loadS: seconds } = HOW_LONG;
  const quiet = { urls, connections: 1, seconds };
  const ofFirstCaller = [];
  const note = handedOver(`${title} one`, (location) => ofFirstCaller.push(location));
  // Each by the first caller, which then asks for them.
  const firstCallers = { ...note, request: (index) => note.request(index * CALLERS) };
  const accepted = await load({ ...quiet, ...firstCallers });
  const many = await counted(database, () =>
    load({ urls, connections: CONNECTIONS, seconds, ...handedOver(`${title} many`) }),
  );
  return {
    accepted,
    acceptedMany: many,
    status: await load({ ...quiet, ...status(ofFirstCaller) }),
    list: await load({ ...quiet, ...list('limit=20') }),
    listOfState: await load({ ...quiet, ...list('state=accepted&limit=20') }),
    // From the end: those at the head may be under way.
    cancel: await load({ ...quiet, most: ofFirstCaller.length - 4, ...cancel(ofFirstCaller.toReversed()) }),
  };
}

/** From the first message at the upstream to the last one that came in that time. */
async function drained(seconds, expected) {
  const deadlineMs = Date.now() + seconds * 1000;
  for (;;) {
    const { count, firstAtMs, lastAtMs } = once(await upstream.writes());
    if (count >= expected || Date.now() > deadlineMs) {
      return { count, expected, perSecond: (count / (lastAtMs - firstAtMs)) * 1000 };
    }
    await delay(DRAIN_LOOK_MS);
  }
}

/** What was handed over meanwhile is sent: nothing stands behind what comes. */
async function emptied(database) {
  const deadlineMs = Date.now() + EMPTIED_WITHIN_S * 1000;
  for (;;) {
    const [{ count }] = await database.query(
      "select count(*)::integer as count from bff.delivery where mode = 'async' and state in ('accepted', 'sending')",
    );
    if (count === 0) return undefined;
    if (Date.now() > deadlineMs) throw new Error(`${count} deliveries are not sent`);
    await delay(DRAIN_LOOK_MS);
  }
}

/** A benchmark of what sends twice would be none. */
function once(writes) {
  if (writes.duplicates > 0) throw new Error(`${writes.duplicates} messages were sent twice`);
  return writes;
}

/** With the transactions and the log of the server for each request. */
async function counted(database, run) {
  if (database === undefined) return run();
  const before = await work(database);
  const result = await run();
  // The server's own counts come a moment late.
  await delay(1_100);
  const after = await work(database);
  return {
    ...result,
    commits: (after.commits - before.commits) / result.requests,
    walBytes: (after.walBytes - before.walBytes) / result.requests,
  };
}

function start({ count, database, writeLimits }) {
  return startReplicas({ count, upstreamUrl: upstream.url, databaseUrl: database?.url, writeLimits });
}
