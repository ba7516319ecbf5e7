/** A ticket that may have a slot now. */
export interface NextTicket {
  readonly seq: number;
  readonly lane: string;
  readonly caller: string;
  readonly replica: string | undefined;
  readonly deliveryId: string | undefined;
}

export type TicketState = 'admitted' | 'wants' | 'resting' | 'granted' | 'held';

/** A ticket as it stands. */
export interface Ticket extends NextTicket {
  readonly state: TicketState;
  readonly call: number | undefined;
  readonly session: string | undefined;
  readonly message: number | undefined;
  readonly afterSession: number | undefined;
  readonly afterMessage: number | undefined;
}

/** States of a ticket that counts as waiting. */
const WAITING: readonly TicketState[] = ['admitted', 'wants', 'resting'];
/** The same for a statement, as the indexes have them. */
export const WAITS = "state in ('admitted', 'wants', 'resting')";

/** Each column once: `$1` stands for whatever the statement asks for. */
export const TICKET = `seq, lane, caller, replica, delivery_id, session, message, after_session, after_message, state, call`;

export interface TicketRow {
  readonly seq: string;
  readonly lane: string;
  readonly caller: string;
  readonly replica: string | null;
  readonly delivery_id: string | null;
  readonly session: string | null;
  readonly message: string | null;
  readonly after_session: string | null;
  readonly after_message: string | null;
  readonly state: TicketState;
  readonly call: string | null;
}

export function isWaiting(state: TicketState): boolean {
  return WAITING.includes(state);
}

export function numberOf(value: string | null | undefined): number | undefined {
  return value == null ? undefined : Number(value);
}

export function ticketOf(row: TicketRow): Ticket {
  return {
    seq: Number(row.seq),
    lane: row.lane,
    caller: row.caller,
    replica: row.replica ?? undefined,
    deliveryId: row.delivery_id ?? undefined,
    session: row.session ?? undefined,
    message: numberOf(row.message),
    afterSession: numberOf(row.after_session),
    afterMessage: numberOf(row.after_message),
    state: row.state,
    call: numberOf(row.call),
  };
}
