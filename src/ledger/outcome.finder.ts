import { type Announcements } from '../database/announcements.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import { type MessageFinder, type Sighting } from '../nexudus/message.finder.js';
import type { SystemIdTag } from '../nexudus/system-id.tag.js';
import type { AppLogger } from '../observability/app-logger.js';
import type { Metrics } from '../observability/metrics.js';
import { type OperatorInfo, seconds } from '../observability/operator-info.js';
import type { Conclusion, Look, UnknownDeliveries } from './unknown.deliveries.js';

const CHANNEL = 'bff_unknown';
/** A look waits for quieter times; not for ever, since a backlog may last for days. */
const PATIENCE_MS = 5 * 60_000;

/** Finds out what became of messages whose outcome is unknown: whenever nobody needs the quota more, one at a time. */
export class OutcomeFinder {
  #underWay: Promise<void> | undefined;
  #isStopped = false;

  constructor(
    private readonly unknown: UnknownDeliveries,
    private readonly finder: MessageFinder,
    private readonly tagging: Pick<SystemIdTag, 'state'>,
    announcements: Announcements,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
    info: OperatorInfo,
  ) {
    for (const result of RESULTS) metrics.lookups.inc({ result }, 0);
    info.add('findingOut', () => ({
      lists: finder.refusedForMs > 0 ? 'refused' : 'allowed',
      nextTryInSeconds: finder.refusedForMs > 0 ? seconds(finder.refusedForMs) : null,
      systemIdTag: tagging.state,
    }));
    // About every second.
    announcements.on(CHANNEL, () => {
      this.#underWay ??= this.#lookForAll().finally(() => {
        this.#underWay = undefined;
      });
    });
  }

  /** What is under way is finished. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#underWay;
  }

  async #lookForAll(): Promise<void> {
    try {
      while (!this.#isStopped && this.finder.isAble) {
        const look = await this.unknown.take(this.finder.isQuiet ? 0 : PATIENCE_MS);
        if (look === undefined) return;
        const sighting = await this.finder.look(look.sought, this.tagging.state !== 'off');
        this.#note(look, sighting, await this.unknown.conclude(look, sighting));
      }
    } catch (error) {
      if (error instanceof DatabaseUnavailable) return;
      this.log.error({ err: error }, 'What became of a message could not be found out');
    }
  }

  #note({ delivery, number }: Look, sighting: Sighting, conclusion: Conclusion): void {
    this.metrics.lookups.inc({ result: conclusion });
    const line = {
      delivery: delivery.id,
      look: number,
      conclusion,
      ...('reason' in sighting && { reason: sighting.reason }),
    };
    if (conclusion === 'unclear') {
      this.log.warn(line, 'A look did not tell what became of a message: an operator can');
    } else {
      this.log.info(line, 'A message whose outcome is unknown was looked for');
    }
  }
}

const RESULTS = [
  'found',
  'not-sent',
  'missing',
  'unclear',
  'postponed',
  'overtaken',
] as const satisfies readonly Conclusion[];
