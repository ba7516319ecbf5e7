import type { Queries } from '../database/database.js';
import type { Place } from './waiting-write.js';

/** A delivery, as far as its turn is concerned. */
export interface DeliveryTicket {
  readonly deliveryId: string;
  /** Callers take turns, by this name. */
  readonly caller: string;
  /** As of a write that somebody waits for. */
  readonly session: string | undefined;
  /** The message that it replaces. */
  readonly message: number | undefined;
}

/** Where a delivery stands. */
export interface Standing {
  /** 1 is the next. */
  readonly position: number;
  readonly estimatedInMs: number;
}

/** The place of a delivery whose turn has come: its first slot is there already. */
export interface DeliveryPlace extends Place {
  /** It was not sent: it keeps its place, and any replica may try it again after that time. */
  retreat(afterMs: number): Promise<void>;
  /** It is settled, but holds up its session, and its message, for so long. */
  leaveAfter(ms: number): Promise<void>;
}

/** Who sends deliveries in this replica. */
export interface DeliveryServer {
  /** Whether it could send one now: asked before it is given one. */
  readonly isAble: boolean;
  /** How many it could take on at once, where it is able; 1 where it does not say. */
  readonly room?: number;
  /** Its turn has come here. The place is to be left in the end, whatever happens. */
  send(deliveryId: string, place: DeliveryPlace): void;
}

/** The line of all replicas, in which deliveries stand among the writes that somebody waits for. */
export abstract class DeliveryLine {
  /** `undefined` when it does not wait any more. */
  async standing(deliveryId: string): Promise<Standing | undefined> {
    return (await this.standings([deliveryId])).get(deliveryId);
  }

  /** Puts a delivery at the end of its caller's, in the transaction that accepts it. */
  abstract enter(transaction: Queries, ticket: DeliveryTicket): Promise<Standing>;
  /**
   * Lets one wait that was not sent after all, in the transaction that says so: in the place in which it holds up its
   * session, so that nothing overtakes it, or at the end where it has none any more. False while a replica that lives
   * may be sending it: nothing is changed then.
   */
  abstract enterAgain(transaction: Queries, ticket: DeliveryTicket): Promise<boolean>;
  /** Gives the place of one that waits to another: the later of two updates of one message. False if it has begun. */
  abstract replace(transaction: Queries, deliveryId: string, byDeliveryId: string): Promise<boolean>;
  /**
   * Gives the place of one that is settled to another, whoever has it in hand: when that one is through with it, it is
   * not left, but the other's turn.
   */
  abstract inherit(transaction: Queries, deliveryId: string, byDeliveryId: string): Promise<void>;
  /**
   * Takes one out that waits or holds, in the transaction that cancels or settles it. False while a replica that lives
   * may be sending it.
   */
  abstract withdraw(transaction: Queries, deliveryId: string): Promise<boolean>;
  /**
   * As `leaveAfter`, for one whose replica is gone, in the transaction that settles it. False while a replica that
   * lives may be sending it.
   */
  abstract hold(transaction: Queries, deliveryId: string, ms: number): Promise<boolean>;
  /** After a transaction that changed who waits: somebody may be able to go. */
  abstract changed(): void;
  /** Where these stand, by their ids; those that do not wait any more are left out. Costs little more than one alone. */
  abstract standings(deliveryIds: readonly string[]): Promise<ReadonlyMap<string, Standing>>;
  /** Once: from now on this replica sends deliveries. */
  abstract serve(server: DeliveryServer): void;
}

/** Given where there is a database. */
export const DELIVERY_LINE = Symbol('delivery line');
