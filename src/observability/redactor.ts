const REDACTED = '[redacted]';
/** A shorter value stands in too many words by chance. */
const SHORTEST = 4;
/** More than a service ever holds at a time; the oldest are let go. */
const MOST_HELD = 256;
/** Beyond so many no more are taken from callers. */
const MOST_WITH_FOREIGN = 128;

/** What is a secret by its name, however deep it stands. */
const SECRET_NAMES =
  'authorization|proxy-authorization|cookie|set-cookie|password|totp|totpSecret|token|access_token|refresh_token|accessToken|refreshToken|apiKey';
const SECRET_NAME = new RegExp(`^(?:${SECRET_NAMES})$`, 'i');
/** What is a secret by its looks, whoever it belongs to. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer)\s+[\w.~+/=-]{8,}/gi, `$1 ${REDACTED}`],
  [/\beyJ[\w-]{5,}\.[\w.-]+/g, REDACTED],
  [/\b(password|totp|access_token|refresh_token|client_secret)=[^&\s"']+/gi, `$1=${REDACTED}`],
];
const ANY_SECRET = new RegExp(
  [`"(?:${SECRET_NAMES})":`, ...PATTERNS.map(([{ source }]) => source)].join('|'),
  'i',
);

/** A value that is kept out. */
interface Held {
  /** How many have put it in and not taken it out. */
  holders: number;
  /** How it looks inside a JSON text. */
  readonly inJson: string;
}

/**
 * Keeps secrets out of what leaves the process: the values that are in use now, which their owners put in here and
 * take out again, and whatever is named or looks like one. Behind the rule that no secret is given to the log at all: for the
 * error of a library that repeats what it was given.
 */
export class Redactor {
  /** The oldest first. */
  readonly #held = new Map<string, Held>();

  /**
   * Keeps these values out of every text, as they are and as a form encodes them, until the returned function is
   * called.
   */
  hold(...values: readonly (string | undefined)[]): () => void {
    let held = [...new Set(values.flatMap(spellings))];
    for (const value of held) {
      const holders = this.#held.get(value)?.holders ?? 0;
      this.#held.delete(value);
      this.#held.set(value, { holders: holders + 1, inJson: JSON.stringify(value).slice(1, -1) });
    }
    for (const oldest of [...this.#held.keys()].slice(0, -MOST_HELD)) this.#held.delete(oldest);
    return () => {
      for (const value of held) this.#letGo(value);
      held = [];
    };
  }

  /** The same for a credential of a caller: however many there are, they do not push out what is ours. */
  holdForeign(value: string | undefined): () => void {
    if (value === undefined) return NOTHING_HELD;
    const entry = this.#held.get(value);
    if (entry === undefined && this.#held.size >= MOST_WITH_FOREIGN) return NOTHING_HELD;
    // Most of them are: then there is nothing to work out for every request.
    if (!isSpelledInOneWay(value)) return this.hold(value);
    if (entry === undefined) this.#held.set(value, { holders: 1, inJson: value });
    else entry.holders += 1;
    return () => {
      this.#letGo(value);
    };
  }

  redact(text: string): string {
    let clean = text;
    // The longest first: of a value that begins like another nothing must be left.
    for (const value of [...this.#held.keys()].sort((a, b) => b.length - a.length)) {
      clean = clean.replaceAll(value, REDACTED);
    }
    for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement);
    return clean;
  }

  /**
   * A JSON text without its secrets, still JSON. The same text where there is none in it, which is found out at the
   * cost of a search.
   */
  redactJson(json: string): string {
    if (!this.#mayHoldSecret(json)) return json;
    const clean = JSON.stringify(JSON.parse(json), (name, value: unknown) => {
      if (SECRET_NAME.test(name)) return REDACTED;
      return typeof value === 'string' ? this.redact(value) : value;
    });
    return json.endsWith('\n') ? `${clean}\n` : clean;
  }

  #letGo(value: string): void {
    const entry = this.#held.get(value);
    if (entry === undefined) return;
    entry.holders -= 1;
    if (entry.holders === 0) this.#held.delete(value);
  }

  #mayHoldSecret(json: string): boolean {
    for (const { inJson } of this.#held.values()) if (json.includes(inJson)) return true;
    return ANY_SECRET.test(json);
  }
}

/** The one of this process: what one part of it holds, no line of any other part may show. */
export const processRedactor = new Redactor();

const NOTHING_HELD = (): void => undefined;
const SAME_IN_FORM = /^[\w.*-]*$/;

/** In JSON and in a form as it is, so that it is held once. */
function isSpelledInOneWay(value: string): boolean {
  return value.length >= SHORTEST && SAME_IN_FORM.test(value);
}

function spellings(value: string | undefined): string[] {
  if (value === undefined || value.length < SHORTEST) return [];
  if (isSpelledInOneWay(value)) return [value];
  const inForm = new URLSearchParams([['', value]]).toString().slice(1);
  return [value, inForm, inForm.replaceAll('+', '%20')];
}
