import { setMaxListeners } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, URL } from 'node:url';
import { axiosRetryOnly } from './contestants/axios-retry.js';
import { rateLimiterQueue } from './contestants/rate-limiter-queue.js';
import { thisService, thisServiceShortWait } from './contestants/this-service.js';
import { measure } from './measure.js';
import { page, scenarioReport } from './report.js';
import { CUT_MS, messages, SCENARIOS } from './setting.js';
import { startUpstream } from './upstream.js';

/* global AbortController */

const PAGE = new URL('../../docs/benchmarks-quota.md', import.meta.url);
const COMMAND = 'npm run bench:quota';
const CONTESTANTS = [thisService, thisServiceShortWait, axiosRetryOnly, rateLimiterQueue];

// An ordinary exit, so that the children's handles end them.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const beganAt = new Date();
const runs = [];
for (const scenario of SCENARIOS) {
  const results = [];
  for (const contestant of CONTESTANTS) {
    console.error(`${scenario.title}: ${contestant.name} …`);
    results.push({ name: contestant.name, ...(await contest(contestant, scenario)) });
  }
  runs.push({ scenario, results });
  console.log(`\n${scenarioReport({ scenario, results })}\n`);
}
await writeFile(PAGE, page({ contestants: CONTESTANTS, runs, beganAt, command: COMMAND }));
console.error(`Written to ${fileURLToPath(PAGE)}`);
// A queue that was cut off still has its timers.
process.exit(0);

async function contest({ start }, scenario) {
  const upstream = await startUpstream(scenario);
  try {
    const running = await start(upstream.url);
    try {
      upstream.begin();
      const beganAtMs = Date.now();
      const outcomes = await offer(running.deliver);
      const endedAtMs = Date.now();
      return measure({ scenario, writes: await upstream.writes(), outcomes, beganAtMs, endedAtMs });
    } finally {
      await running.stop();
    }
  } finally {
    await upstream.stop();
  }
}

/** All messages at once; what is not settled in time is 'cut', whatever the contestant still does with it. */
async function offer(deliver) {
  const cut = new AbortController();
  setMaxListeners(0, cut.signal);
  const patience = new AbortController();
  const cutOff = delay(CUT_MS, 'cut', { signal: patience.signal }).catch(() => 'cut');
  const settled = messages.map(async (message) => [
    message.content,
    await Promise.race([deliver(message, cut.signal), cutOff]),
  ]);
  // After the races have begun, so that they hear of the cut before a delivery fails of it.
  void cutOff.then(() => cut.abort());
  const outcomes = new Map(await Promise.all(settled));
  patience.abort();
  return outcomes;
}
