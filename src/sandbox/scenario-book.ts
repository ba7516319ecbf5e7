import { type CallKind, kindOf, type RecordedCall } from './call.js';
import { isObject } from './message-fields.js';
import { type Scenario, type ScenarioTarget } from './scenario.js';
import { scenarioInText } from './scenario-catalogue.js';

interface Entry {
  readonly scenario: Scenario;
  readonly on: ScenarioTarget;
  timesLeft: number;
}

const KINDS: Readonly<Record<Exclude<ScenarioTarget, 'any'>, readonly CallKind[]>> = {
  write: ['create', 'update'],
  create: ['create'],
  update: ['update'],
  read: ['read', 'list'],
  token: ['token'],
  me: ['me'],
};

/** Decides which scenario a call gets: its own magic word, else the first queued one, else a standing one. */
export class ScenarioBook {
  private queued: Entry[] = [];
  private standing: Entry[] = [];
  private readonly throttledTexts = new Set<string>();

  next(scenario: Scenario, on: ScenarioTarget, times: number): void {
    this.queued.push({ scenario, on, timesLeft: times });
  }

  /** The newest standing scenario wins. */
  always(scenario: Scenario, on: ScenarioTarget): void {
    this.standing.unshift({ scenario, on, timesLeft: Infinity });
  }

  clear(): void {
    this.queued = [];
    this.standing = [];
    this.throttledTexts.clear();
  }

  /** Takes a use of what is queued, so it is asked once per call. */
  take(call: RecordedCall): Scenario | undefined {
    const kind = kindOf(call);
    const spoken = KINDS.write.includes(kind) ? this.magicWord(call.json) : undefined;
    if (spoken !== undefined) return spoken;

    const entry = [...this.queued, ...this.standing].find(
      ({ on }) => on === 'any' || KINDS[on].includes(kind),
    );
    if (entry === undefined) return undefined;
    entry.timesLeft -= 1;
    this.queued = this.queued.filter(({ timesLeft }) => timesLeft > 0);
    return entry.scenario;
  }

  private magicWord(json: unknown): Scenario | undefined {
    const content = isObject(json) ? json['Content'] : undefined;
    if (typeof content !== 'string') return undefined;
    const scenario = scenarioInText(content);
    if (scenario?.kind !== 'throttle') return scenario;
    // Throttles one call of two: a client that waits sees the second one pass, and the same curl shows it again.
    if (this.throttledTexts.delete(content)) return undefined;
    this.throttledTexts.add(content);
    return scenario;
  }
}
