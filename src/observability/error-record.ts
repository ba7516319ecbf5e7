/** What the log holds of an error. */
export interface ErrorRecord {
  readonly type: string;
  readonly message: string;
  /** Of the operating system, Node or a library: `ECONNREFUSED`. */
  readonly code?: string;
  /** Where it was thrown: the frames alone. */
  readonly stack?: string;
  readonly cause?: ErrorRecord;
}

const DEEPEST_CAUSE = 4;
const LONGEST_MESSAGE = 500;

/**
 * An error for the log. Nothing of it but what is listed here: libraries hang whole requests onto theirs, with
 * headers and bodies.
 */
export function errorRecord(error: unknown, depth = 0): ErrorRecord {
  if (typeof error !== 'object' || error === null || !('message' in error)) {
    return { type: typeof error, message: 'What was thrown is not an error' };
  }
  const { name, message, code, stack, cause } = error as Partial<NodeJS.ErrnoException>;
  const text = String(message);
  const frames = typeof stack === 'string' ? framesOf(stack, text) : '';
  return {
    type: String(name),
    message: withoutQuotes(String(name), text).slice(0, LONGEST_MESSAGE),
    ...(typeof code === 'string' && { code }),
    ...(frames !== '' && { stack: frames }),
    ...(cause !== undefined && depth < DEEPEST_CAUSE && { cause: errorRecord(cause, depth + 1) }),
  };
}

/** The parser of JSON quotes what it read, and that may be somebody's message. */
function withoutQuotes(name: string, message: string): string {
  return name === 'SyntaxError' ? message.replace(/["'][^]*["']/, '(what was read)') : message;
}

/** Not the message before them, which is there already, and may look like a frame itself. */
function framesOf(stack: string, message: string): string {
  const at = stack.indexOf(message);
  const lines = (at === -1 ? stack : stack.slice(at + message.length)).split('\n');
  return lines.filter((line) => /^\s+at /.test(line)).join('\n');
}
