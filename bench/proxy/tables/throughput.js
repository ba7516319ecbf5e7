import { inRounds, unique, warmUp, withAll } from '../contest.js';
import { load } from '../load.js';
import { summary } from '../measure.js';
import { megabytes, spread, table, times } from '../report.js';
import { CONNECTIONS } from '../setting.js';

/** How many requests a second, and what one costs. */
export async function throughput({ contestants, plan, upstreamUrl }) {
  return withAll(contestants, upstreamUrl, async (entries, missing) => {
    await warmUp(entries, plan.warmUpS);
    const results = await inRounds(entries, plan.rounds, async ({ running: { target, child } }, round) => {
      const cpuBeforeMs = await child?.cpuMs();
      const { requests, perSecond } = await load(unique(target, round), plan.roundS);
      return {
        perSecond,
        cpuUs: child ? (((await child.cpuMs()) - cpuBeforeMs) / requests) * 1000 : NaN,
        rssBytes: (await child?.rssBytes()) ?? NaN,
      };
    });
    return toSection(results, missing);
  });
}

function toSection(results, missing) {
  const measured = [...results].map(([{ contestant }, rounds]) => ({
    contestant,
    perSecond: summary(rounds.map((round) => round.perSecond)),
    cpuUs: summary(rounds.map((round) => round.cpuUs)),
    rssBytes: rounds.at(-1).rssBytes,
  }));
  const service = measured.find(({ contestant }) => contestant.number === 6);
  const rows = measured.map(({ contestant, perSecond, cpuUs, rssBytes }) => [
    contestant.name,
    spread(perSecond, 0),
    service ? times(service.perSecond.median / perSecond.median) : '–',
    spread(cpuUs, 0),
    megabytes(rssBytes),
  ]);
  return {
    title: 'Throughput',
    text: `Requests a second over ${CONNECTIONS} connections, each of which sends its next request when it has its answer.`,
    tables: [
      table(['Contestant', 'Requests/s', 'nexudus-bff is', 'CPU per request, µs', 'RSS under load'], rows),
    ],
    notes: missing.map(({ name }) => `Not run: ${name}, which this version or this machine does not have.`),
  };
}
