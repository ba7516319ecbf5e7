const BYTE_ORDER_MARK = '\uFEFF';

/**
 * The value of a JSON text, or `undefined` where it is not JSON. Never throws: upstream sends HTML, too. A byte order
 * mark in front is ignored (RFC 8259 section 8.1).
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);
  } catch {
    return undefined;
  }
}

/** Whether a value is a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
