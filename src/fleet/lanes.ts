import type { Queries, Row } from '../database/database.js';
import { WAITS } from './ticket.js';

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
  const rows = await query<LaneRow>('select name, caller, turn, waiting from bff.lane order by turn');
  return rows.map(laneOf);
}

interface LaneRow extends Row {
  readonly name: string;
  readonly caller: string;
  readonly turn: string;
  readonly waiting: number;
}

function laneOf({ name, caller, turn, waiting }: LaneRow): Lane {
  return { name, caller, turn: Number(turn), waiting };
}

/** A line at one moment. */
export interface LineState {
  readonly lanes: readonly Lane[];
  /** Since when the write waits that has waited longest, of those that somebody waits for; on the database's clock. */
  readonly oldestSinceMs: number | undefined;
}

/** All in one statement: its parts fit together, whoever holds the gate. */
export async function readLine(query: Queries['query']): Promise<LineState> {
  const rows = await query<LaneRow & { since_ms: number | null }>(
    `select name, caller, turn, waiting,
       (select since_ms from bff.line where lane = l.name and ${WAITS} order by seq limit 1) as since_ms
     from bff.lane as l order by turn`,
  );
  const since = rows.filter(isAwaited).flatMap((row) => row.since_ms ?? []);
  return { lanes: rows.map(laneOf), oldestSinceMs: since.length === 0 ? undefined : Math.min(...since) };
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

/** Whether somebody waits for what is in it. Deliveries have lanes of their own, with other names than their callers. */
export function isAwaited({ name, caller }: Pick<Lane, 'name' | 'caller'>): boolean {
  return name === caller && name !== CALLS_LANE;
}

export function waitingCalls(lanes: readonly Lane[]): number {
  return lanes.find(({ name }) => name === CALLS_LANE)?.waiting ?? 0;
}

export function callsLane(waiting: number): Lane {
  return { name: CALLS_LANE, caller: CALLS_LANE, turn: 0, waiting };
}
