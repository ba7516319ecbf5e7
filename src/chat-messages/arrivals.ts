import { Inject, Injectable, Optional } from '@nestjs/common';
import { inTime } from '../clock/in-time.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import { Deliveries } from '../ledger/deliveries.js';
import type { Deadline } from '../nexudus/deadline.js';
import { sessionOf, type Write } from './work-record.js';

/**
 * Keeps the order of arrival where writes are written down before they get their place in the line: each of these takes
 * as long as the database does, and the later one of a session might be first. Only until the place is taken: from there
 * on the line keeps the order.
 */
@Injectable()
export class Arrivals {
  /** The entries of those that came last, by what they have to be in order with. */
  readonly #last = new Map<string, Promise<void>>();
  readonly #isNeeded: boolean;

  /** @param deliveries where there is a database; elsewhere a place is taken at once */
  constructor(@Optional() @Inject(Deliveries) deliveries: Deliveries | undefined) {
    this.#isNeeded = deliveries !== undefined;
  }

  /**
   * Does the work when all have entered that came before, and belong to the same session or replace the same message.
   *
   * @param deadline of its caller, who does not wait longer than that for others either
   * @param work calls back when it has its place, or none is to be had; at its end at the latest that is taken for granted
   * @throws DatabaseUnavailable when it is too late by then
   */
  inOrder<T>(write: Write, deadline: Deadline, work: (entered: () => void) => Promise<T>): Promise<T> {
    const names = this.#isNeeded ? namesOf(write) : [];
    if (names.length === 0) return work(nothing);
    const former = names.flatMap((name) => this.#last.get(name) ?? []);
    let entered = nothing;
    const entry = new Promise<void>((resolve) => {
      entered = () => {
        for (const name of names) if (this.#last.get(name) === entry) this.#last.delete(name);
        resolve();
      };
    });
    for (const name of names) this.#last.set(name, entry);
    if (former.length === 0) return work(entered).finally(entered);
    const before = Promise.all(former);
    const tooLate = (): Error => new DatabaseUnavailable(false);
    return inTime(before, (callback) => deadline.whenLate(callback), tooLate)
      .then(() => work(entered))
      .finally(() => {
        // Whoever comes after one that was too late waits for those before it all the same.
        void before.then(entered);
      });
  }
}

function namesOf({ id, message }: Write): string[] {
  const session = sessionOf(message);
  return [
    ...(session === undefined ? [] : [`session ${session}`]),
    ...(id === undefined ? [] : [`message ${id}`]),
  ];
}

const nothing = (): void => undefined;
