import { writeFile } from 'node:fs/promises';
import { fileURLToPath, URL } from 'node:url';
import { parseArgs } from 'node:util';
import { CONTESTANTS, direct, nestExpress, nodeHttp, replyFrom, service } from './contestants.js';
import { describeMachine, pinMyself } from './machine.js';
import { page, section } from './report.js';
import { FULL, QUICK } from './setting.js';
import { delayedLatency, pacedLatency } from './tables/latency.js';
import { refusals } from './tables/refusals.js';
import { soak } from './tables/soak.js';
import { start } from './tables/start.js';
import { throughput } from './tables/throughput.js';
import { waitingCallers } from './tables/waiting.js';
import { startUpstream } from './upstream.js';

const PAGE = new URL('../../docs/benchmarks.md', import.meta.url);
const TABLE_NAMES = ['throughput', 'paced', 'delayed', 'refusals', 'waiting', 'start'];
const USAGE = `npm run bench -- [--quick] [--only 6,3] [--tables throughput,paced] [--soak 60]
  --quick   short rounds: to see that it works
  --only    these contestants, by number
  --tables  these tables: ${TABLE_NAMES.join(', ')}
  --soak    also this many seconds of load on the service alone
Only a run of everything, without --quick, writes docs/benchmarks.md.`;

// An ordinary exit, so that the children's handles end them.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const options = readOptions();
const isPart = options.quick || options.only !== undefined || options.tables !== undefined;
const plan = options.quick ? QUICK : FULL;
const among = (list) => list.filter(({ number }) => (options.only ?? [number]).includes(number));
const beganAt = new Date();
const machine = describeMachine();

pinMyself();
const upstream = await startUpstream();
const common = { plan, upstreamUrl: upstream.url, isQuick: options.quick };
const TABLES = {
  throughput: () => throughput({ ...common, contestants: among(CONTESTANTS) }),
  paced: () => pacedLatency({ ...common, contestants: among(CONTESTANTS) }),
  delayed: () => delayedLatency({ ...common, contestants: among([direct, nodeHttp, replyFrom, service]) }),
  refusals: () => refusals(common),
  waiting: () => waitingCallers(common),
  start: () => start({ ...common, contestants: among([nodeHttp, replyFrom, nestExpress, service]) }),
};

const wanted = options.tables ?? TABLE_NAMES;
const measurements = wanted.map((name) => [name, TABLES[name]]);
if (options.soak) measurements.push(['soak', () => soak({ ...common, seconds: options.soak })]);
const sections = [];
for (const [name, measure] of measurements) {
  console.error(`${name} …`);
  sections.push(await measure());
  console.log(`${section(sections.at(-1))}\n`);
}
await upstream.stop();
if (!isPart) {
  const command = options.soak ? `npm run bench -- --soak ${options.soak}` : 'npm run bench';
  await writeFile(PAGE, page({ contestants: CONTESTANTS, sections, machine, command, beganAt, plan }));
  console.error(`Written to ${fileURLToPath(PAGE)}`);
}
console.error(`Took ${Math.round((Date.now() - beganAt.getTime()) / 1000)} s`);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        tables: { type: 'string' },
        soak: { type: 'string' },
      },
    });
    const unknown = values.tables?.split(',').find((name) => !TABLE_NAMES.includes(name));
    if (unknown !== undefined) throw new Error(`There is no table ${unknown}`);
    return {
      quick: values.quick,
      only: values.only?.split(',').map(Number),
      tables: values.tables?.split(','),
      soak: values.soak === undefined ? 0 : Number(values.soak),
    };
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}
