import { describe, expect, it } from '@jest/globals';
import { createLogger } from './json-logger.js';
import { processRedactor } from './redactor.js';

const SECRET = 'held-"secret"\\value';
const CONTENT = 'a very private sentence';

/** What one call of the logger writes, as text. */
function written(fields: object): string {
  const lines: string[] = [];
  createLogger('trace', { write: (line) => lines.push(line) }).error(fields, 'failed');
  return lines.join('');
}

const jsonError = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
};

describe('an error in the log', () => {
  it('shows its type, its code, its message, its frames, and its causes', () => {
    const cause = Object.assign(new TypeError('inner'), { code: 'ECONNREFUSED' });
    const { err } = JSON.parse(written({ err: new Error('outer', { cause }) })) as {
      err: Record<string, unknown>;
    };
    expect(err).toMatchObject({
      type: 'Error',
      message: 'outer',
      cause: { type: 'TypeError', message: 'inner', code: 'ECONNREFUSED' },
    });
    expect(err['stack']).toMatch(/^\s+at /);
  });

  it('never shows a secret that is in use, in its message, its stack or its cause', () => {
    const release = processRedactor.hold(SECRET);
    try {
      const line = written({ err: new Error(`no: ${SECRET}`, { cause: new Error(`no: ${SECRET}`) }) });
      expect(line).toContain('no: [redacted]');
      expect(line).not.toContain(JSON.stringify(SECRET).slice(1, -1));
    } finally {
      release();
    }
  });

  it.each([
    ['hung onto it', Object.assign(new Error('x'), { config: { data: CONTENT, headers: { cookie: 'c' } } })],
    ['quoted by the parser of JSON', jsonError(CONTENT)],
    ['quoted by the parser of JSON, with a line that looks like a frame', jsonError(`\n    at ${CONTENT}`)],
    ['thrown as such', CONTENT],
    ['thrown as an object', { content: CONTENT }],
  ])('never shows what somebody sent: %s', (_, err) => {
    const line = written({ err });
    expect(line).not.toMatch(/private|sentence/);
    expect(line).toContain('"message":"failed"');
  });

  it('that is its own cause ends all the same', () => {
    const error = new Error('round');
    error.cause = error;
    expect(written({ err: error })).toContain('round');
  });
});
