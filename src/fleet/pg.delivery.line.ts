import type { Queries } from '../database/database.js';
import {
  DeliveryLine,
  type DeliveryServer,
  type DeliveryTicket,
  type Standing,
} from '../nexudus/delivery.line.js';
import type { SharedLine } from './shared-line.js';

/** Deliveries in the line of all replicas. */
export class PgDeliveryLine extends DeliveryLine {
  constructor(private readonly line: SharedLine) {
    super();
  }

  override enter(transaction: Queries, ticket: DeliveryTicket): Promise<Standing> {
    return this.line.enter(transaction, ticket);
  }

  override enterAgain(transaction: Queries, ticket: DeliveryTicket): Promise<boolean> {
    return this.line.enterAgain(transaction, ticket);
  }

  override replace(transaction: Queries, deliveryId: string, byDeliveryId: string): Promise<boolean> {
    return this.line.replace(transaction, deliveryId, byDeliveryId);
  }

  override withdraw(transaction: Queries, deliveryId: string): Promise<boolean> {
    return this.line.withdraw(transaction, deliveryId);
  }

  override hold(transaction: Queries, deliveryId: string, ms: number): Promise<boolean> {
    return this.line.hold(transaction, deliveryId, ms);
  }

  override changed(): void {
    this.line.pump();
  }

  override standings(deliveryIds: readonly string[]): Promise<ReadonlyMap<string, Standing>> {
    return this.line.standings(deliveryIds);
  }

  override serve(server: DeliveryServer): void {
    this.line.serve(server);
  }
}
