import { setTimeout as delay } from 'node:timers/promises';
import type { Chaos } from './chaos.js';
import { check, type Fault } from './checker.js';
import { deliveryIdOf, type History, type LedgerRow, type Message } from './history.js';
import { Prng } from './prng.js';
import { type Role, Traffic } from './traffic.js';
import { type Ground, World } from './world.js';

/** What one run is made of; with the same seed, of the same. */
export interface DrillPlan {
  readonly seed: number;
  readonly replicas: 2 | 3 | 4;
  readonly chaos: (world: World, prng: Prng) => Chaos;
  readonly forMs: number;
}

/** How a run went. */
export interface DrillResult {
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly history: History;
  /** From the end of the chaos until all was settled. */
  readonly settledAfterMs: number;
  /** What the replicas said, by name. */
  readonly logs: ReadonlyMap<string, readonly string[]>;
}

const ROLES: readonly Role[] = [
  'session',
  'replaces',
  'loose',
  'session',
  'session',
  'replaces',
  'loose',
  'loose',
];
/**
 * After the chaos: a lease that nobody holds any more has to end (10 s), a back-off and a circuit may last, what was
 * accepted meanwhile has to be sent, eight a second.
 */
const SETTLED_WITHIN_MS = 60_000;
/** A caller does not wait for the ledger: what it hears may be written there later. */
const WRITTEN_WITHIN_MS = 15_000;

/** Lets replicas work while they are killed, frozen and cut off, and looks whether all promises were kept. */
export async function drill(ground: Ground, plan: DrillPlan): Promise<DrillResult> {
  const prng = new Prng(plan.seed);
  const world = await World.build(ground, plan.replicas);
  let giveUpAtMs = Infinity;
  const traffic = new Traffic(world, prng.fork('traffic'), () => Date.now() > giveUpAtMs);
  try {
    const handedOver = traffic.run(ROLES);
    await plan.chaos(world, prng.fork('chaos')).run(plan.forMs);
    const overAtMs = Date.now();
    giveUpAtMs = overAtMs + SETTLED_WITHIN_MS;
    traffic.stop();
    for (const { replica } of world.seats) await replica?.ready();
    await handedOver;
    const settled = await settledLedger(world, giveUpAtMs);
    const settledAfterMs = Date.now() - overAtMs;
    await lookBack(traffic, prng.fork('look back'));
    // What was unknown may be sent again at any time, and nobody waits for that.
    const sought = new Set(settled.filter(({ state }) => state === 'unknown').map(({ id }) => id));
    const ledger = await settledLedger(world, Date.now() + WRITTEN_WITHIN_MS, sought);
    const history: History = {
      messages: traffic.messages,
      calls: world.sandbox.calls,
      records: world.sandbox.messages,
      settled,
      ledger,
      disturbances: world.disturbances,
      scriptedThrottles: 0,
    };
    return { seed: plan.seed, faults: check(history), history, settledAfterMs, logs: logsOf(world) };
  } finally {
    await traffic.close();
    await world.end();
  }
}

/**
 * The ledger when nothing in it is open, or it is time to give that up.
 *
 * @param leftOut deliveries that may be open
 */
async function settledLedger(
  world: World,
  untilMs: number,
  leftOut: ReadonlySet<string> = new Set(),
): Promise<LedgerRow[]> {
  for (;;) {
    const ledger = await world.ledger();
    if (Date.now() >= untilMs || ledger.every((row) => isSettled(row) || leftOut.has(row.id))) return ledger;
    await delay(250);
  }
}

function isSettled({ state }: LedgerRow): boolean {
  return state !== 'accepted' && state !== 'sending';
}

/** Asks for every delivery, and repeats what was kept under a key. */
async function lookBack(traffic: Traffic, prng: Prng): Promise<void> {
  const ask = async (message: Message): Promise<void> => {
    if (deliveryIdOf(message) !== undefined) await traffic.follow(message, prng);
    if (message.key !== undefined && message.mode === 'sync') await traffic.repeat(message, prng);
  };
  const left = [...traffic.messages];
  const worker = async (): Promise<void> => {
    for (let message = left.shift(); message !== undefined; message = left.shift()) await ask(message);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

function logsOf({ past, seats }: World): Map<string, readonly string[]> {
  const all = [...past, ...seats.flatMap(({ replica }) => (replica ? [replica] : []))];
  return new Map(all.map(({ name, lines }) => [name, lines]));
}
