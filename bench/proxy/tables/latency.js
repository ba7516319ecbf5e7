import { inRounds, unique, warmUp, withAll } from '../contest.js';
import { load } from '../load.js';
import { percentile, summary } from '../measure.js';
import { pace } from '../paced.js';
import { spread, table } from '../report.js';
import { startUpstream } from '../upstream.js';
import { CONNECTIONS, PACE, UPSTREAM_DELAY_MS } from '../setting.js';

const SHARES = [0.5, 0.9, 0.99];

/** What a contestant adds at a rate that all can keep. */
export async function pacedLatency({ contestants, plan, upstreamUrl }) {
  return withAll(contestants, upstreamUrl, async (entries) => {
    await warmUp(entries, plan.warmUpS / 2);
    let latestMs = 0;
    const results = await inRounds(entries, plan.rounds, async ({ running }, round) => {
      const { samplesMs, lateMs } = await pace(unique(running.target, round), PACE, plan.pacedS);
      latestMs = Math.max(latestMs, percentile(lateMs, 0.99));
      return SHARES.map((share) => percentile(samplesMs, share));
    });
    return {
      title: `Latency at ${PACE} requests a second`,
      text: `An open-loop sender of our own: each request has its moment, and its time counts from then on, whether the
sender, a socket or the contestant kept it waiting (no coordinated omission). In all rounds the sender itself was no
later than ${latestMs.toFixed(2)} ms at p99. In brackets the least and the most of the rounds.`,
      tables: [latencyTable(toPercentiles(results))],
      notes: [],
    };
  });
}

/** What a contestant adds where the upstream takes its time and requests overlap. */
export async function delayedLatency({ contestants, plan }) {
  const upstream = await startUpstream(UPSTREAM_DELAY_MS);
  try {
    return await withAll(contestants, upstream.url, async (entries) => {
      await warmUp(entries, plan.warmUpS / 2);
      const results = await inRounds(entries, plan.rounds, async ({ running }, round) => {
        const { p50Ms, p99Ms } = await load(unique(running.target, round), plan.roundS / 2);
        return [p50Ms, p99Ms];
      });
      return {
        title: `With an upstream that takes ${UPSTREAM_DELAY_MS} ms`,
        text: `${CONNECTIONS} connections, each of which sends its next request when it has its answer: ${CONNECTIONS} requests are always under way.`,
        tables: [latencyTable(toPercentiles(results), ['p50', 'p99'])],
        notes: [],
      };
    });
  } finally {
    await upstream.stop();
  }
}

function toPercentiles(results) {
  return [...results].map(([{ contestant }, rounds]) => ({
    contestant,
    percentiles: rounds[0].map((_, index) => summary(rounds.map((round) => round[index]))),
  }));
}

function latencyTable(measured, names = ['p50', 'p90', 'p99']) {
  const direct = measured.find(({ contestant }) => contestant.number === 1);
  const rows = measured.map(({ contestant, percentiles }) => [
    contestant.name,
    ...percentiles.map((value) => spread(value, 2)),
    ...percentiles.map(({ median }, index) =>
      direct && contestant.number !== 1 ? added(median - direct.percentiles[index].median) : '–',
    ),
  ]);
  const head = [
    'Contestant',
    ...names.map((name) => `${name}, ms`),
    ...names.map((name) => `${name} over direct`),
  ];
  return table(head, rows);
}

function added(ms) {
  return `${ms < 0 ? '' : '+'}${ms.toFixed(2)}`;
}
