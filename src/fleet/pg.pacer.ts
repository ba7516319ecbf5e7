import type { Deadline } from '../nexudus/deadline.js';
import { Pacer, type PacedWrite, type Place, type Slot, type WindowState } from '../nexudus/pacer.js';
import type { SharedLine } from './shared-line.js';

/** The pacer of all replicas on one database: together they keep to each window, and callers take turns over all. */
export class PgPacer extends Pacer {
  constructor(private readonly line: SharedLine) {
    super();
  }

  override admit(write: PacedWrite): Promise<Place> {
    return this.line.admit(write);
  }

  override call(deadline: Deadline): Promise<Slot> {
    return this.line.call(deadline);
  }

  override review(): void {
    void this.line.review();
  }

  override get pausedForMs(): number {
    return this.line.quota.view.pausedForMs;
  }

  override get waiting(): number {
    return this.line.waiting;
  }

  override get oldestWaitMs(): number {
    return this.line.oldestWaitMs;
  }

  override windows(kind?: 'write'): WindowState[] {
    return this.line.quota.view.states(kind);
  }
}
