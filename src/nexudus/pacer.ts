import type { Deadline } from './deadline.js';
import type { Slot, WindowState } from './quota.js';
import type { PacedWrite, Place } from './waiting-write.js';

export type { CallEnd, PacerLimits, Slot, WindowState } from './quota.js';
export type { PacedWrite, Place } from './waiting-write.js';

/**
 * Spends the upstream's quota to the last call and never over it, whatever the shape of the upstream's windows.
 * Says at once who cannot be served in time; serves the rest in turns. A port: the quota is one process's, or shared.
 */
export abstract class Pacer {
  /**
   * Takes a write in.
   *
   * @throws QuotaExhausted when its turn would come too late; with the true time of the next free slot
   * @throws DatabaseUnavailable where the quota is shared, and cannot be asked
   */
  abstract admit(write: PacedWrite): Place | Promise<Place>;
  /**
   * A slot for a call that is not a write: the token's, or a read. Goes before all writes, since they need it.
   *
   * @throws QuotaExhausted when there is none before the deadline
   * @throws DatabaseUnavailable where the quota is shared, and cannot be asked
   */
  abstract call(deadline: Deadline): Promise<Slot>;
  /** Deadlines have moved, since the process stops: who can no longer be served in time hears so now. */
  abstract review(): void;
  /** Until a pause after a throttle answer is over; 0 when there is none. */
  abstract get pausedForMs(): number;
  /** Writes that were taken in and have no slot yet. */
  abstract get waiting(): number;
  /** How long the one has waited that has waited longest, of those that somebody waits for; 0 when there is none. */
  abstract get oldestWaitMs(): number;
  /** The state of every window, or of those on writes, for headers, metrics and operators. */
  abstract windows(kind?: 'write'): WindowState[];
}

/** Where another pacer than this process's own is given: that of all replicas. */
export const SHARED_PACER = Symbol('shared pacer');
