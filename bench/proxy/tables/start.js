import { setTimeout as delay } from 'node:timers/promises';
import { inRounds } from '../contest.js';
import { summary } from '../measure.js';
import { spread, table } from '../report.js';

/** V8 puts away what a start leaves behind when nothing was done for 8 s. */
const IDLE_AFTER_MS = 12_000;
const MEBIBYTE = 2 ** 20;

/** From the spawn to the first answer that says ready, and what the process holds when it has been idle. */
export async function start({ contestants, plan, upstreamUrl }) {
  const entries = contestants.map((contestant) => ({ contestant }));
  const results = await inRounds(entries, plan.starts, async ({ contestant }) => {
    const { child, stop } = await contestant.start(upstreamUrl);
    await delay(IDLE_AFTER_MS);
    const rss = (await child.rssBytes()) / MEBIBYTE;
    await stop();
    return { readyInMs: child.readyInMs, rss };
  });
  const rows = [...results].map(([{ contestant }, rounds]) => [
    contestant.name,
    spread(summary(rounds.map(({ readyInMs }) => readyInMs)), 0),
    spread(summary(rounds.map(({ rss }) => rss)), 0),
  ]);
  return {
    title: 'Start',
    text: `From the spawn of the process to its first answer; of this service to 200 on \`/health/ready\`. One core for
everything; ${plan.starts} starts each. RSS when nothing was asked for ${IDLE_AFTER_MS / 1000} s.`,
    tables: [table(['Contestant', 'Ready after, ms', 'Idle RSS, MB'], rows)],
    notes: [],
  };
}
