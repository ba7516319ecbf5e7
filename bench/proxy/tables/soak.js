import { setTimeout as delay } from 'node:timers/promises';
import { thisService } from '../contestants/this-service.js';
import { pace } from '../paced.js';
import { megabytes, table } from '../report.js';
import { SOAK_PACE } from '../setting.js';

const WARM_UP_S = 10;
/** None longer than the load: the quota remembers each call for as long as it counts, and only a leak shall be seen. */
const WINDOWS = { NEXUDUS_WRITE_LIMITS: '1000000/1m', NEXUDUS_CALL_LIMITS: '1000000/1m' };
/** Sockets that are idle for so long are closed by then. */
const SETTLE_MS = 6_000;

/** Whether anything is left of much work. */
export async function soak({ upstreamUrl, seconds }) {
  const running = await thisService({ upstreamUrl, probed: true, env: WINDOWS });
  try {
    const rows = [];
    const look = async (when) => {
      await delay(SETTLE_MS);
      const { heap, rss, resources } = await running.child.probe();
      const kinds = Object.entries(resources).sort(([a], [b]) => a.localeCompare(b));
      rows.push([
        when,
        megabytes(heap),
        megabytes(rss),
        kinds.map(([kind, count]) => `${kind} ${count}`).join(', '),
      ]);
    };
    await pace(running.target, SOAK_PACE, WARM_UP_S);
    await look(`after ${WARM_UP_S} s`);
    await pace(running.target, SOAK_PACE, seconds);
    await look(`after ${seconds} s more`);
    return {
      title: 'Soak',
      text: `${SOAK_PACE} requests a second, all answered 201. Memory after a garbage collection, and what the event loop holds, when
the load is gone. The quota has windows of a minute, each of which remembers a call for as long as it counts: 8 bytes and
its caller.`,
      tables: [table(['', 'Heap', 'RSS', 'Active resources'], rows)],
      notes: [],
    };
  } finally {
    await running.stop();
  }
}
