/**
 * Takes values out of a sentence of the upstream, whatever their case: what somebody sent, or what is ours alone, is
 * not repeated to anybody. A single character is taken out only where it stands alone, so that the id 7 does not tear
 * the sentence apart.
 */
export function withoutValues(sentence: string, values: readonly unknown[]): string {
  let text = sentence;
  for (const value of values) {
    if (typeof value !== 'string' && typeof value !== 'number') continue;
    const literal = String(value).trim();
    if (literal === '') continue;
    const pattern = literal.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    const isWord = literal.length === 1 && WORD.test(literal);
    const [before, after] = isWord ? ['(?<![\\p{L}\\p{N}_])', '(?![\\p{L}\\p{N}_])'] : ['', ''];
    text = text.replace(new RegExp(before + pattern + after, 'giu'), '(the value)');
  }
  return text;
}

const WORD = /[\p{L}\p{N}_]/u;
