import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TestPostgres } from '../support/postgres.js';
import { bundleReplica } from './bundle.js';
import { RandomChaos } from './chaos.js';
import { drill, type DrillResult } from './drill.js';
import { PointChaos } from './point.chaos.js';
import { POINTS } from './points.js';
import { Prng } from './prng.js';
import { story, summary } from './report.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    from: { type: 'string', default: '1' },
    parallel: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '12' },
    /** Instead of random moments: once at each named point, `SIGKILL` or `SIGSTOP`. */
    points: { type: 'string' },
    /** Only points with this in their name. */
    only: { type: 'string', default: '' },
    /** How often at each point. */
    times: { type: 'string', default: '1' },
    /** For the logs and the history of runs that failed. */
    out: { type: 'string' },
  },
});

const [seeds, from, parallel, seconds] = [values.seeds, values.from, values.parallel, values.seconds].map(
  Number,
);
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const failed: number[] = [];
const left = Array.from({ length: seeds ?? 0 }, (_, n) => (from ?? 1) + n);
// So that nothing of ours outlives us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const ground = { postgres: await TestPostgres.start(), script: await bundleReplica() };
try {
  await Promise.all(Array.from({ length: parallel ?? 1 }, worker));
} finally {
  await ground.postgres.stop();
}
say(
  failed.length === 0 ? 'Every promise was kept.' : `Failed seeds: ${failed.sort((a, b) => a - b).join(' ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

async function worker(): Promise<void> {
  for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
    const result = await (values.points === undefined ? atRandom(seed) : atEachPoint(seed));
    say(summary(result));
    if (result.faults.length === 0) continue;
    failed.push(seed);
    say(story(result));
    if (values.out !== undefined) keep(values.out, result);
  }
}

function atRandom(seed: number): Promise<DrillResult> {
  return drill(ground, {
    seed,
    replicas: new Prng(seed).pick([2, 3]),
    chaos: (world, prng) => new RandomChaos(world, prng, POINTS),
    forMs: (seconds ?? 12) * 1_000,
  });
}

async function atEachPoint(seed: number): Promise<DrillResult> {
  const signal = values.points === 'SIGSTOP' ? 'SIGSTOP' : 'SIGKILL';
  const points = POINTS.filter((point) => point.includes(values.only));
  const plans = Array.from({ length: Number(values.times) }, (_, n) =>
    points.map((point) => ({ point, signal, nth: n + 1 }) as const),
  ).flat();
  const missed: string[] = [];
  const result = await drill(ground, {
    seed,
    replicas: 4,
    chaos: (world) => new PointChaos(world, plans, missed),
    forMs: 0,
  });
  say(`Not reached: ${missed.join('; ')}`);
  return result;
}

function keep(directory: string, result: DrillResult): void {
  const place = join(directory, `seed-${result.seed}`);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'story.txt'), story(result));
  for (const [name, lines] of result.logs) writeFileSync(join(place, `${name}.log`), lines.join('\n'));
}
