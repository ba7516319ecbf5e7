import { groupBy } from './groups.js';
import {
  type Answer,
  deliveryIdOf,
  type History,
  type LedgerRow,
  type Message,
  type Request,
} from './history.js';

/** A promise that was not kept. */
export interface Fault {
  readonly promise:
    | 'nothing twice'
    | 'nothing lost'
    | 'done means written'
    | 'not-sent means not written'
    | 'unknown is honest'
    | 'in order'
    | 'no window exceeded'
    | 'settled in time'
    | 'same key, same answer';
  readonly what: string;
  /** Of the message that it is about. */
  readonly content: string | undefined;
}

/** What became of a message, as far as its client can know. */
type Fate = 'done' | 'rejected' | 'unknown' | 'not-sent' | 'pending' | 'unheard';

const FATES: Readonly<Record<string, Fate>> = {
  done: 'done',
  rejected: 'rejected',
  unknown: 'unknown',
  expired: 'not-sent',
  cancelled: 'not-sent',
  accepted: 'pending',
  sending: 'pending',
};
/** States that another one may follow. */
const OPEN: ReadonlySet<string> = new Set(['accepted', 'sending', 'unknown']);
/** Scenarios after which nobody can know whether Nexudus has the message. */
const NO_ANSWER = /sandbox:(lost|dropped|truncated)/;
/** Of the six seconds of a caller: after that too little may be left for an answer, on a machine that is busy. */
const LATE_MS = 3_000;
/** For so long an answer waits until it is in the ledger; a little less, since clocks are set. */
const WRITTEN_WITHIN_MS = 900;

/** Compares what clients heard, what the ledger says and what Nexudus got. A pure function of the history. */
export function check(history: History): Fault[] {
  return new Checker(history).faults();
}

class Checker {
  readonly #faults: Fault[] = [];
  readonly #rows: ReadonlyMap<string, LedgerRow>;
  /** Deliveries that were unknown when all was settled: what became of them may be found out at any time since. */
  readonly #soughtSince: ReadonlySet<string>;
  /** Calls that carry a message, by its content. */
  readonly #calls: ReadonlyMap<string, History['calls']>;

  constructor(private readonly history: History) {
    this.#rows = new Map(history.ledger.map((row) => [row.id, row]));
    const unknown = history.settled.filter(({ state }) => state === 'unknown');
    this.#soughtSince = new Set(unknown.map(({ id }) => id));
    this.#calls = groupBy(history.calls, ({ json }) => contentOf(json));
  }

  faults(): Fault[] {
    for (const message of this.history.messages) {
      this.#twice(message);
      this.#fate(message);
      this.#answers(message);
      this.#cancelled(message);
    }
    this.#order();
    this.#windows();
    this.#ledger();
    return this.#faults;
  }

  #twice(message: Message): void {
    const times = this.#written(message).length;
    if (message.operation === 'create' && times > 1) {
      this.#fault('nothing twice', `created ${times} times`, message);
    }
  }

  #fate(message: Message): void {
    const times = this.#written(message).length;
    const row = this.#rowOf(message);
    if (deliveryIdOf(message) !== undefined && row === undefined) {
      this.#fault('nothing lost', 'accepted, and the ledger does not know it', message);
    }
    switch (this.#fateOf(message)) {
      case 'done':
        if (times === 0 && row?.mergedInto === undefined) {
          this.#fault('done means written', 'done, and Nexudus never wrote it', message);
        }
        return;
      case 'rejected':
      case 'not-sent':
        if (times > 0) this.#fault('not-sent means not written', 'Nexudus has it', message);
        return;
      case 'unknown':
        if (!this.#isHonest(message)) {
          this.#fault('unknown is honest', 'unknown, and nothing happened that could explain it', message);
        }
        return;
      case 'pending':
        if (row !== undefined && this.#soughtSince.has(row.id)) return;
        this.#fault('settled in time', `still ${row?.state ?? 'pending'} at the end`, message);
        return;
      case 'unheard':
        if (message.key !== undefined && message.requests.length > 0) {
          this.#fault('settled in time', 'repeated with its key to the end, and never answered', message);
        }
    }
  }

  /** All answers to one key say the same. */
  #answers(message: Message): void {
    const { requests, repeated, followed } = message;
    // A replace that is forgotten is written anew, and answered as that.
    const isNew = message.operation === 'replace' && this.#mayBeForgotten(message);
    const answers = [...requests, ...(repeated && !isNew ? [repeated] : [])].flatMap(({ answer }) =>
      answer !== undefined && answer.status < 300 && answer.status !== 202 ? [answer] : [],
    );
    for (const answer of answers) {
      const record = this.history.records.get(Number(answer.body['id']));
      const isThere =
        message.operation === 'create' ? record?.Content === message.content : record !== undefined;
      if (!isThere) this.#fault('done means written', 'answered with an id that is not its', message);
    }
    if (new Set(answers.map(({ text }) => text)).size > 1) {
      this.#fault('same key, same answer', 'answered in two ways', message);
    }
    const fate = this.#fateOf(message);
    const again = repeated?.answer;
    const mayBeUnknown = again?.body['outcome'] === 'unknown' && this.#mayBeForgotten(message);
    if (again !== undefined && fate === 'done' && again.status >= 300 && !mayBeUnknown && !isNew) {
      this.#fault('same key, same answer', `done, and a repeat is answered ${again.status}`, message);
    }
    if (fate === 'done' && !isNew && this.#sentByRepeat(message).length > 0) {
      this.#fault('nothing twice', 'done, and a repeat is sent', message);
    }
    const state = followed?.answer?.body['state'];
    const row = this.#rowOf(message);
    if (followed?.answer === undefined || row === undefined || state === row.state) return;
    const mayHaveBeen = OPEN.has(String(state)) && this.#soughtSince.has(row.id);
    if (!mayHaveBeen) {
      this.#fault('same key, same answer', `${row.state}, and its page says ${String(state)}`, message);
    }
  }

  #cancelled(message: Message): void {
    if (message.cancel?.answer?.status !== 200) return;
    const state = this.#rowOf(message)?.state;
    if (state !== 'cancelled') {
      this.#fault('not-sent means not written', `cancelled, and now ${state ?? 'gone'}`, message);
    }
  }

  /** A client waits for each acceptance: so Nexudus gets them in the order in which they were handed over. */
  #order(): void {
    const confirmed = this.history.messages.filter(
      (message) => message.order !== undefined && this.#isConfirmed(message),
    );
    for (const [order, messages] of groupBy(confirmed, (message) => message.order)) {
      const places = new Map(messages.map((message, place) => [message.content, place]));
      const anew = new Set(
        messages.flatMap((message) => (this.#mayBeForgotten(message) ? this.#sentByRepeat(message) : [])),
      );
      let last = -1;
      for (const call of this.history.calls) {
        const place = call.executed && !anew.has(call) ? places.get(contentOf(call.json)) : undefined;
        if (place === undefined) continue;
        if (place < last) {
          const overtaking = messages[last]?.content ?? '';
          this.#fault('in order', `${order ?? ''}: after "${overtaking}"`, messages[place]);
        }
        last = Math.max(last, place);
      }
    }
  }

  #windows(): void {
    const throttled = this.history.calls.filter((call) => call.throttled);
    const tooMany = throttled.length - this.history.scriptedThrottles;
    if (tooMany > 0) {
      const first = throttled[0];
      this.#fault(
        'no window exceeded',
        `${tooMany} calls too many, the first ${first?.method ?? ''} ${first?.path ?? ''} at ${first?.receivedAtMs ?? 0}`,
      );
    }
  }

  /** Also what no client knows of. */
  #ledger(): void {
    const claimed = new Map<number, string>();
    for (const { id, operation, state, messageId } of this.history.ledger) {
      if ((state === 'accepted' || state === 'sending') && !this.#soughtSince.has(id)) {
        this.#fault('settled in time', `the ledger has ${id}, which is still ${state}`);
      }
      if (operation !== 'create' || state !== 'done') continue;
      if (messageId === undefined || !this.history.records.has(messageId)) {
        this.#fault('done means written', `the ledger has ${id} done as a message that is not there`);
        continue;
      }
      const other = claimed.get(messageId);
      if (other !== undefined) {
        this.#fault('nothing twice', `the ledger has ${id} and ${other} done as one message`);
      }
      claimed.set(messageId, id);
    }
  }

  #fateOf(message: Message): Fate {
    const row = this.#rowOf(message);
    if (row !== undefined) return FATES[row.state] ?? 'pending';
    const answers = message.requests.map(({ answer }) => answer);
    const last = answers.at(-1);
    if (last !== undefined && last.status < 300) return last.status === 202 ? 'pending' : 'done';
    const outcome = last?.body['outcome'];
    if (outcome === 'rejected' || outcome === 'unknown') return outcome;
    // One that was not heard, or still ran, may have written it, whatever the next one says.
    const isSure = answers.every(
      (answer) => answer?.body['outcome'] === 'not-sent' && slugOf(answer) !== 'idempotency-key-in-use',
    );
    return isSure && message.key === undefined ? 'not-sent' : 'unheard';
  }

  /** The process died in between, or Nexudus let it down. */
  #isHonest(message: Message): boolean {
    const calls = this.#calls.get(message.content) ?? [];
    return (
      (calls.length > 0 && NO_ANSWER.test(message.content)) ||
      this.#wasDisturbedIn(message) ||
      this.#wasCutShort(message)
    );
  }

  /** It was sent so late that its caller's wait was over before the answer, or before anybody read it. */
  #wasCutShort({ mode, requests, content }: Message): boolean {
    const isTimeOut = requests.some(({ answer }) => slugOf(answer) === 'upstream-timeout');
    const calls = this.#calls.get(content) ?? [];
    const unheard = calls.filter(({ status }) => isTimeOut || status === 'none');
    const isLateIn = ({ atMs, endedAtMs = Infinity }: Request): boolean =>
      unheard.some(({ receivedAtMs }) => receivedAtMs >= atMs + LATE_MS && receivedAtMs <= endedAtMs);
    return mode === 'sync' && requests.some(isLateIn);
  }

  /** Whether the client heard that it was accepted, and it kept its place since. */
  #isConfirmed(message: Message): boolean {
    const last = message.requests.at(-1);
    if (last?.answer === undefined || last.answer.status >= 300) return false;
    const row = this.#rowOf(message);
    // An unknown one holds up its session for some time only, and is sent again when it proves not to be there.
    const wasSentAgain = message.operation === 'create' && row !== undefined && row.attempts > 1;
    const mayHaveBeenUnknown = NO_ANSWER.test(message.content) || this.#wasDisturbedIn(message);
    return !(wasSentAgain && mayHaveBeenUnknown);
  }

  /**
   * An answer waits for the ledger for some time only. Whose replica came to grief after it, and before it was written,
   * leaves a create that is unknown, and of a replace nothing.
   */
  #mayBeForgotten({ mode, requests, content }: Message): boolean {
    const last = requests.at(-1);
    if (mode !== 'sync' || last?.answer === undefined || last.answer.replayed) return false;
    const { atMs, endedAtMs = atMs, replica } = last;
    const isAhead = (this.#calls.get(content) ?? []).some(
      ({ receivedAtMs }) => receivedAtMs >= atMs && receivedAtMs + WRITTEN_WITHIN_MS <= endedAtMs,
    );
    return (
      isAhead && this.history.disturbances.some((one) => one.replica === replica && one.untilMs >= endedAtMs)
    );
  }

  /** What Nexudus got of it after its client had asked once more. */
  #sentByRepeat({ content, repeated }: Message): History['calls'] {
    const calls = this.#calls.get(content) ?? [];
    return repeated === undefined ? [] : calls.filter(({ receivedAtMs }) => receivedAtMs > repeated.atMs);
  }

  #wasDisturbedIn(message: Message): boolean {
    const fromMs = message.requests[0]?.atMs ?? 0;
    const row = this.#rowOf(message);
    // One that is in the ledger lasts until it is settled there, whatever its client has heard.
    const toMs = (row ? row.settledAtMs : message.requests.at(-1)?.endedAtMs) ?? Infinity;
    return this.history.disturbances.some(({ atMs, untilMs }) => untilMs >= fromMs && atMs <= toMs);
  }

  #rowOf(message: Message): LedgerRow | undefined {
    const id = deliveryIdOf(message);
    return id === undefined ? undefined : this.#rows.get(id);
  }

  /** The calls by which Nexudus wrote it. */
  #written({ content }: Message): History['calls'] {
    return (this.#calls.get(content) ?? []).filter(({ executed }) => executed);
  }

  #fault(promise: Fault['promise'], what: string, message?: Message): void {
    this.#faults.push({ promise, what, content: message?.content });
  }
}

/** Of the problem that it says. */
function slugOf(answer: Answer | undefined): string | undefined {
  const type = answer?.body['type'];
  return typeof type === 'string' ? type.split('/').at(-1) : undefined;
}

function contentOf(json: unknown): string {
  const content = typeof json === 'object' && json !== null && 'Content' in json ? json.Content : undefined;
  return typeof content === 'string' ? content : '';
}
