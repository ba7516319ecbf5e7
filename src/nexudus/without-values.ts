/**
 * Takes values out of a sentence of the upstream, whatever their case: what somebody sent, or what is ours alone, is
 * not repeated to anybody. A value that is a word or a number is taken out only where it stands as one, so that the
 * id 7 does not tear the year 2027 apart.
 */
export function withoutValues(sentence: string, values: readonly unknown[]): string {
  let text = sentence;
  for (const value of values) {
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const literal = String(value).trim();
    if (literal === '') continue;
    const pattern = literal.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    const before = WORD.test(literal.charAt(0)) ? '(?<![\\p{L}\\p{N}_])' : '';
    const after = WORD.test(literal.charAt(literal.length - 1)) ? '(?![\\p{L}\\p{N}_])' : '';
    text = text.replace(new RegExp(before + pattern + after, 'giu'), '(the value)');
  }
  return text;
}

const WORD = /[\p{L}\p{N}_]/u;
