import { NexudusSandbox } from '../../dist/sandbox/nexudus-sandbox.js';
import { fates } from './faults.js';
import { ACCOUNT, CALL_LIMITS, LATENCY_MS, WRITE_LIMITS } from './setting.js';

/**
 * The fake Nexudus in a process of its own, since it shares no event loop with its callers in reality either.
 * Started by upstream.js, which sends it `{ begin }` and `{ report }`; it ends with its parent.
 */

/** More writes than any contestant makes. */
const SCRIPTED_WRITES = 5_000;

const { windowShape, phaseMs, faults } = JSON.parse(process.argv[2]);
const sandbox = await NexudusSandbox.start({
  accounts: [{ ...ACCOUNT, roles: 'all' }],
  writeLimits: WRITE_LIMITS,
  callLimits: CALL_LIMITS,
  windowShape,
});
const drawn = fates(faults);
for (let write = 0; write < SCRIPTED_WRITES; write += 1) sandbox.next(drawn.next().value, { on: 'write' });
sandbox.always({ kind: 'slow', ms: LATENCY_MS.to }, { on: 'any' });

process.on('disconnect', () => process.exit(0));
process.on('message', (message) => {
  // Fixed windows lie where the scenario says, however long the contestant took to start.
  if (message === 'begin') sandbox.options.windowOffsetMs = Date.now() - phaseMs;
  if (message === 'report') process.send({ writes: sandbox.writes.map(toReport) });
});
process.send({ url: sandbox.url });

function toReport({ json, receivedAtMs, status, executed }) {
  return { content: json?.Content, receivedAtMs, status, executed };
}
