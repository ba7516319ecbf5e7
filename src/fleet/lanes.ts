import type { Queries } from '../database/database.js';

/** The lane of calls that are not writes: they go before all others, and take no turns. */
export const CALLS_LANE = '';

/** Whose turn it is. */
export interface Lane {
  readonly name: string;
  /** As the quota knows it. */
  readonly caller: string;
  /** The lowest is the next. */
  turn: number;
  /** Tickets without a slot. */
  waiting: number;
}

/** With the gate held or not: they are written by whoever holds it. */
export async function readLanes(query: Queries['query']): Promise<Lane[]> {
  const rows = await query<{ name: string; caller: string; turn: string; waiting: number }>(
    'select name, caller, turn, waiting from bff.lane order by turn',
  );
  return rows.map(({ turn, ...lane }) => ({ ...lane, turn: Number(turn) }));
}

/**
 * How many go before the next ticket of a lane.
 *
 * @param lanes in the order of their turns
 * @param own how many of its own lane do
 */
export function aheadOf(
  lanes: readonly Lane[],
  lane: string,
  own = lanes.find(({ name }) => name === lane)?.waiting ?? 0,
): { ahead: number; own: number } {
  let before = true;
  let ahead = own;
  for (const { name, waiting } of lanes) {
    if (name === lane) before = false;
    // Whoever is before us in the round has one turn more than us before ours comes.
    else ahead += Math.min(waiting, before ? own + 1 : own);
  }
  return { ahead, own };
}

/** Without the calls that are not writes. */
export function turnsOf(lanes: readonly Lane[]): readonly Lane[] {
  return lanes.filter(({ name }) => name !== CALLS_LANE);
}

export function waitingCalls(lanes: readonly Lane[]): number {
  return lanes.find(({ name }) => name === CALLS_LANE)?.waiting ?? 0;
}

export function callsLane(waiting: number): Lane {
  return { name: CALLS_LANE, caller: CALLS_LANE, turn: 0, waiting };
}
