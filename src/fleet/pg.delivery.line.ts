import type { Database, Queries } from '../database/database.js';
import {
  DeliveryLine,
  type DeliveryServer,
  type DeliveryTicket,
  type Standing,
} from '../nexudus/delivery.line.js';
import { Gate } from './gate.js';
import { aheadOf, CALLS_LANE, readLanes, turnsOf, waitingCalls } from './lanes.js';
import { dueOf, type SharedLine } from './shared-line.js';
import { isWaiting, WAITS, type Ticket } from './ticket.js';

/** Deliveries take turns with each other, and not with the writes that somebody waits for. */
const DELIVERIES_SUFFIX = ' (deliveries)';

/** Deliveries in the line of all replicas: their tickets change in the transactions that change them. */
export class PgDeliveryLine extends DeliveryLine {
  constructor(
    private readonly line: SharedLine,
    private readonly database: Database,
  ) {
    super();
  }

  override async enter(transaction: Queries, ticket: DeliveryTicket): Promise<Standing> {
    const gate = await Gate.open(transaction);
    const standing = await this.#enter(gate, ticket);
    await gate.close();
    return standing;
  }

  override async enterAgain(transaction: Queries, ticket: DeliveryTicket): Promise<boolean> {
    const gate = await Gate.open(transaction);
    const former = await gate.ticketOfDelivery(ticket.deliveryId);
    if (former === undefined) await this.#enter(gate, ticket);
    else if (await isInHands(gate, former)) return false;
    else await gate.wantAgain(former);
    await gate.close();
    return true;
  }

  override async replace(transaction: Queries, deliveryId: string, byDeliveryId: string): Promise<boolean> {
    const gate = await Gate.open(transaction);
    const ticket = await gate.ticketOfDelivery(deliveryId);
    if (ticket === undefined || !isWaiting(ticket.state)) return false;
    const formers = await gate.formers(ticket.session, ticket.message);
    if ((formers.session ?? ticket.seq) !== ticket.seq || (formers.message ?? ticket.seq) !== ticket.seq) {
      return false;
    }
    await give(gate, deliveryId, byDeliveryId);
    return true;
  }

  override async inherit(transaction: Queries, deliveryId: string, byDeliveryId: string): Promise<void> {
    await give(await Gate.open(transaction), deliveryId, byDeliveryId);
  }

  override async withdraw(transaction: Queries, deliveryId: string): Promise<boolean> {
    const gate = await Gate.open(transaction);
    const ticket = await gate.ticketOfDelivery(deliveryId);
    if (ticket === undefined || (await isInHands(gate, ticket))) return false;
    await gate.leave(ticket);
    await gate.close();
    return true;
  }

  override async hold(transaction: Queries, deliveryId: string, ms: number): Promise<boolean> {
    const gate = await Gate.open(transaction);
    const ticket = await gate.ticketOfDelivery(deliveryId);
    if (ticket === undefined || (await isInHands(gate, ticket))) return false;
    await gate.hold(ticket, ms);
    await gate.close();
    return true;
  }

  override async standings(deliveryIds: readonly string[]): Promise<ReadonlyMap<string, Standing>> {
    const standings = new Map<string, Standing>();
    if (deliveryIds.length === 0) return standings;
    const rows = await this.database.query<{
      delivery_id: string;
      lane: string;
      caller: string;
      own: string;
    }>(STANDINGS, [deliveryIds]);
    if (rows.length === 0) return standings;
    const lanes = await readLanes(this.database.query.bind(this.database));
    const turns = turnsOf(lanes);
    const calls = waitingCalls(lanes);
    return this.line.quota.forecast((view, presentMs) => {
      for (const { delivery_id: deliveryId, lane, caller, own: ownAhead } of rows) {
        const { ahead, own } = aheadOf(turns, lane, Number(ownAhead));
        const dueAtMs = view.writeAtMs({ caller, ahead, ownAhead: own, calls });
        standings.set(deliveryId, { position: ahead + 1, estimatedInMs: Math.max(0, dueAtMs - presentMs) });
      }
      return standings;
    });
  }

  override changed(): void {
    this.line.pump();
  }

  override serve(server: DeliveryServer): void {
    this.line.serve(server);
  }

  async #enter(gate: Gate, { deliveryId, caller, session, message }: DeliveryTicket): Promise<Standing> {
    const lane = caller + DELIVERIES_SUFFIX;
    const formers = await gate.formers(session, message);
    const { ahead, own } = await gate.ahead(lane);
    const calls = await gate.waitingIn(CALLS_LANE);
    const { view, presentMs } = this.line.quota;
    const inMs = dueOf(view, formers, { caller, ahead, ownAhead: own, calls }) - presentMs;
    const comer = { lane, caller, replica: undefined, deliveryId, session, message };
    await gate.enter(comer, formers, gate.nowMs + inMs, 'wants');
    return { position: ahead + 1, estimatedInMs: Math.max(0, inMs) };
  }
}

/**
 * How many of its lane are before each of these deliveries (`$1`). Those before the first of them are counted from
 * whichever end of the lane seems to be nearer; a page of a list is mostly at its end.
 */
export const STANDINGS = `with asked as (
    select lane, min(seq) as first, max(seq) as last from bff.line
    where delivery_id = any($1::text[]) and ${WAITS} group by lane
  ), ends as (
    select asked.*, l.waiting,
      (select min(seq) from bff.line where lane = asked.lane and ${WAITS}) as front,
      (select max(seq) from bff.line where lane = asked.lane and ${WAITS}) as back
    from asked join bff.lane as l on l.name = asked.lane
  ), counted as (
    select lane, first, last, case when first - front <= back - first
      then (select count(*) from bff.line where lane = ends.lane and seq < first and ${WAITS})
      else waiting - (select count(*) from bff.line where lane = ends.lane and seq >= first and ${WAITS})
      end as before
    from ends
  )
  select t.delivery_id, t.lane, t.caller, counted.before + t.place as own
  from counted cross join lateral (
    select delivery_id, lane, caller, row_number() over (order by seq) - 1 as place from bff.line
    where lane = counted.lane and seq between counted.first and counted.last and ${WAITS}
  ) as t
  where t.delivery_id = any($1::text[])`;

async function give(gate: Gate, deliveryId: string, byDeliveryId: string): Promise<void> {
  await gate.query('update bff.line set delivery_id = $2 where delivery_id = $1', [deliveryId, byDeliveryId]);
}

/** Whether a replica that lives may be sending it, or waits for a slot to send it once more. */
async function isInHands(gate: Gate, { replica }: Ticket): Promise<boolean> {
  if (replica === undefined) return false;
  const rows = await gate.query('select 1 from bff.replica where id = $1', [replica]);
  return rows.length > 0;
}
