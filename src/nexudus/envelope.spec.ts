import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readWriteResult, type Verdict, type WriteOperation } from './envelope.js';

const OPERATIONS = ['create', 'replace'] as const;
const HTML = '<!DOCTYPE html><html><body><h1>Oops</h1></body></html>';

/** The success of the documents. */
const DONE = {
  Status: 200,
  Message: 'OpenAiChatMessage was successfully created.',
  Value: { Id: 87654321 },
  OpenInDialog: false,
  OpenInWindow: false,
  RedirectURL: null,
  JavaScript: null,
  UpdatedOn: '2025-01-15T10:30:00Z',
  UpdatedBy: 'admin@example.com',
  Errors: null,
  WasSuccessful: true,
};

/** The failure of the documents. */
const REFUSED = {
  Message: 'Action: is a required field',
  Value: null,
  Errors: [{ AttemptedValue: null, Message: 'is a required field', PropertyName: 'Action' }],
  WasSuccessful: false,
};
const ACTION_REQUIRED = [{ propertyName: 'Action', message: 'is a required field' }];

function read(operation: WriteOperation, status: number, body: unknown, complete = true): Verdict {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readWriteResult(operation, {
    kind: 'answer',
    status,
    headers: {},
    body: text,
    cutOffBy: complete ? undefined : 'connection',
  });
}

const done = (updatedAt: string | null = '2025-01-15T10:30:00Z', id = 87654321): Verdict => ({
  kind: 'done',
  id,
  updatedAt,
});
const rejected = (...faults: [propertyName: string | undefined, message: string][]): Verdict => ({
  kind: 'rejected',
  faults: faults.map(([propertyName, message]) => ({ propertyName, message })),
});
const UNUSABLE: Verdict = { kind: 'unknown', reason: 'unusable-answer' };
const SERVER_ERROR: Verdict = { kind: 'unknown', reason: 'server-error' };
const NOT_FOUND: Verdict = { kind: 'not-found' };

describe.each(OPERATIONS)('the answer to a %s', (operation) => {
  it.each<[string, number, unknown, Verdict]>([
    // Success
    ['the success of the documents', 200, DONE, done()],
    ['a success of status 201', 201, DONE, done()],
    ['a success without an inner Status', 200, { ...DONE, Status: undefined }, done()],
    ['a success with Errors of none', 200, { ...DONE, Errors: [] }, done()],
    [
      'the whole record in Value, of which the id alone is taken',
      200,
      { ...DONE, Value: { Id: 5, UserFullName: 'Ada', UserPhone: '+44', UpdatedOn: '2020-01-01T00:00:00Z' } },
      done('2025-01-15T10:30:00Z', 5),
    ],
    // A 200 that is a failure
    [
      '200 with WasSuccessful false and Errors',
      200,
      { ...REFUSED, Status: 200 },
      rejected(['Action', 'is a required field']),
    ],
    [
      '200 with WasSuccessful false and no Errors',
      200,
      { ...DONE, Message: 'No.', WasSuccessful: false },
      rejected([undefined, 'No.']),
    ],
    ['200 with WasSuccessful false and nothing else', 200, { WasSuccessful: false }, rejected()],
    [
      '200 with WasSuccessful false and an Id',
      200,
      { ...DONE, WasSuccessful: false, Message: '' },
      rejected(),
    ],
    [
      '200 with an inner Status of 400',
      200,
      { ...DONE, Status: 400, Message: 'No.' },
      rejected([undefined, 'No.']),
    ],
    [
      '200 with an inner Status of 499',
      200,
      { ...DONE, Status: 499, Message: 'No.' },
      rejected([undefined, 'No.']),
    ],
    ['200 with an inner Status of 500', 200, { ...DONE, Status: 500 }, SERVER_ERROR],
    [
      '200 with an inner Status of 500 that says it failed',
      200,
      { ...REFUSED, Status: 500 },
      rejected(['Action', 'is a required field']),
    ],
    // A 200 that tells nothing
    ['200 without WasSuccessful', 200, { ...DONE, WasSuccessful: undefined }, UNUSABLE],
    ['200 with WasSuccessful "true" as a text', 200, { ...DONE, WasSuccessful: 'true' }, UNUSABLE],
    ['200 with WasSuccessful 1', 200, { ...DONE, WasSuccessful: 1 }, UNUSABLE],
    ['200 with WasSuccessful null', 200, { ...DONE, WasSuccessful: null }, UNUSABLE],
    ['200 without Value', 200, { ...DONE, Value: undefined }, UNUSABLE],
    ['200 with Value null', 200, { ...DONE, Value: null }, UNUSABLE],
    ['200 with the id as Value', 200, { ...DONE, Value: 5 }, UNUSABLE],
    ['200 with a list in Value', 200, { ...DONE, Value: [{ Id: 5 }] }, UNUSABLE],
    ['200 with no Id in Value', 200, { ...DONE, Value: {} }, UNUSABLE],
    ['200 with the Id as a text', 200, { ...DONE, Value: { Id: '87654321' } }, UNUSABLE],
    ['200 with an Id of 0', 200, { ...DONE, Value: { Id: 0 } }, UNUSABLE],
    ['200 with a negative Id', 200, { ...DONE, Value: { Id: -1 } }, UNUSABLE],
    ['200 with a fraction for Id', 200, { ...DONE, Value: { Id: 1.5 } }, UNUSABLE],
    ['200 with an Id beyond whole numbers', 200, '{"WasSuccessful":true,"Value":{"Id":1e300}}', UNUSABLE],
    ['200 with an Id of null', 200, { ...DONE, Value: { Id: null } }, UNUSABLE],
    ['an empty 200', 200, '', UNUSABLE],
    ['a blank 200', 200, ' \r\n', UNUSABLE],
    ['an empty 204', 204, '', UNUSABLE],
    ['200 with null', 200, 'null', UNUSABLE],
    ['200 with an array', 200, [DONE], UNUSABLE],
    ['200 with a number', 200, '87654321', UNUSABLE],
    ['200 with true', 200, 'true', UNUSABLE],
    ['200 with a JSON string', 200, '"OK"', UNUSABLE],
    ['200 of HTML', 200, HTML, UNUSABLE],
    ['200 with half an object', 200, JSON.stringify(DONE).slice(0, -1), UNUSABLE],
    ['200 with something after the object', 200, `${JSON.stringify(DONE)}<!-- -->`, UNUSABLE],
    ['200 of 20,000 nested arrays', 200, '['.repeat(20_000) + ']'.repeat(20_000), UNUSABLE],
    // 400
    ['400 without an inner Status', 400, REFUSED, rejected(['Action', 'is a required field'])],
    [
      '400 with an inner Status of 500',
      400,
      { ...REFUSED, Status: 500 },
      rejected(['Action', 'is a required field']),
    ],
    [
      '400 with Errors null',
      400,
      { ...REFUSED, Errors: null },
      rejected([undefined, 'Action: is a required field']),
    ],
    [
      '400 with Errors of none',
      400,
      { ...REFUSED, Errors: [] },
      rejected([undefined, 'Action: is a required field']),
    ],
    [
      '400 with Errors and no WasSuccessful',
      400,
      { Errors: REFUSED.Errors },
      rejected(['Action', 'is a required field']),
    ],
    ['400 with WasSuccessful false alone', 400, { WasSuccessful: false }, rejected()],
    ['400 with neither Errors nor WasSuccessful', 400, { Message: 'Bad Request' }, UNUSABLE],
    ['400 that says it succeeded', 400, DONE, UNUSABLE],
    ['400 of HTML', 400, HTML, UNUSABLE],
    ['an empty 400', 400, '', UNUSABLE],
    ['422 with Errors', 422, REFUSED, rejected(['Action', 'is a required field'])],
    // 401, 403, throttles: told by the status alone
    ['an empty 401', 401, '', { kind: 'unauthorized' }],
    ['401 with a body', 401, REFUSED, { kind: 'unauthorized' }],
    ['403 of HTML', 403, HTML, { kind: 'forbidden' }],
    ['403 Forbidden', 403, 'Forbidden', { kind: 'forbidden' }],
    ['403 with an envelope', 403, REFUSED, { kind: 'forbidden' }],
    ['an empty 409, which is no conflict', 409, '', { kind: 'throttled' }],
    ['409 with an envelope', 409, REFUSED, { kind: 'throttled' }],
    ['429', 429, '', { kind: 'throttled' }],
    ['429 of HTML', 429, HTML, { kind: 'throttled' }],
    // 5xx
    ['500 with JSON', 500, { Message: 'An error has occurred.' }, SERVER_ERROR],
    ['500 with an envelope that says it failed', 500, REFUSED, SERVER_ERROR],
    ['500 with an envelope that says it succeeded', 500, DONE, SERVER_ERROR],
    ['502 of HTML', 502, HTML, SERVER_ERROR],
    ['503 of HTML', 503, HTML, SERVER_ERROR],
    ['an empty 503', 503, '', SERVER_ERROR],
    ['504 of HTML', 504, HTML, SERVER_ERROR],
    // Redirects and the rest
    ['301', 301, '', UNUSABLE],
    ['302 of HTML', 302, HTML, UNUSABLE],
    ['302 with an envelope that says it succeeded', 302, DONE, UNUSABLE],
    ['302 with an envelope that says it failed', 302, REFUSED, UNUSABLE],
    ['405 of HTML', 405, HTML, UNUSABLE],
    ['404 of HTML, which comes from the edge', 404, HTML, UNUSABLE],
  ])('reads %s', (_, status, body, verdict) => {
    expect(read(operation, status, body)).toEqual(verdict);
  });

  it.each<[string, number, unknown]>([
    ['success', 200, DONE],
    ['refusal with 200', 200, REFUSED],
    ['refusal with 400', 400, REFUSED],
    ['404 with a JSON string', 404, '"Not found"'],
    ['404 of HTML', 404, HTML],
    ['404 with nothing', 404, ''],
    ['redirect', 302, HTML],
  ])('takes a truncated %s for unusable, even where what came looks whole', (_, status, body) => {
    expect(read(operation, status, body, false)).toEqual(UNUSABLE);
  });

  it.each<[number, Verdict]>([
    [401, { kind: 'unauthorized' }],
    [403, { kind: 'forbidden' }],
    [409, { kind: 'throttled' }],
    [429, { kind: 'throttled' }],
    [500, SERVER_ERROR],
    [502, SERVER_ERROR],
  ])('knows a truncated %d by its status', (status, verdict) => {
    expect(read(operation, status, '<html', false)).toEqual(verdict);
  });

  it('tells what may have run from what cannot have, where no answer came', () => {
    const cause = new Error('socket');
    for (const reason of ['timeout', 'connection'] as const) {
      expect(readWriteResult(operation, { kind: 'not-sent', reason, cause })).toEqual({
        kind: 'not-sent',
        cause,
      });
    }
    const lost = (reason: 'timeout' | 'connection'): Verdict =>
      readWriteResult(operation, { kind: 'no-answer', reason, cause });
    expect(lost('timeout')).toEqual({ kind: 'unknown', reason: 'timeout' });
    expect(lost('connection')).toEqual({ kind: 'unknown', reason: 'connection-lost' });
  });
});

describe('a message that is not there', () => {
  it.each<[string, number, unknown, Verdict, Verdict]>([
    ['404 with the JSON string "Not found"', 404, '"Not found"', NOT_FOUND, UNUSABLE],
    ['an empty 404', 404, '', NOT_FOUND, UNUSABLE],
    [
      '404 with an envelope',
      404,
      { Message: 'Not found', WasSuccessful: false },
      NOT_FOUND,
      rejected([undefined, 'Not found']),
    ],
    ['400 with an inner Status of 404', 400, { Status: 404, WasSuccessful: false }, NOT_FOUND, rejected()],
    ['200 with an inner Status of 404', 200, { Status: 404, WasSuccessful: false }, NOT_FOUND, rejected()],
    ['200 with an inner Status of 404 alone', 200, { Status: 404 }, NOT_FOUND, rejected()],
  ])('is seen in %s by a replace, never by a create', (_, status, body, replace, create) => {
    expect(read('replace', status, body)).toEqual(replace);
    expect(read('create', status, body)).toEqual(create);
  });
});

describe('the faults of a refusal', () => {
  const faults = (Errors: unknown, Message: unknown = 'The summary.'): unknown =>
    (read('create', 400, { Message, Errors, WasSuccessful: false }) as { faults: unknown }).faults;

  it('are all of Errors, in their order, and not the Message that repeats one', () => {
    const errors = ['BusinessId', 'Content', 'UserId'].map((PropertyName) => ({
      PropertyName,
      Message: 'no',
    }));
    expect(faults(errors)).toEqual(errors.map((e) => ({ propertyName: e.PropertyName, message: 'no' })));
  });

  it.each<[string, unknown, unknown]>([
    ['no property', [{ Message: 'no' }], [{ propertyName: undefined, message: 'no' }]],
    [
      'an empty property',
      [{ PropertyName: '', Message: 'no' }],
      [{ propertyName: undefined, message: 'no' }],
    ],
    [
      'a property of null',
      [{ PropertyName: null, Message: 'no' }],
      [{ propertyName: undefined, message: 'no' }],
    ],
    ['no message', [{ PropertyName: 'Action' }], [{ propertyName: 'Action', message: 'was refused' }]],
    [
      'an empty message',
      [{ PropertyName: 'Action', Message: '' }],
      [{ propertyName: 'Action', message: 'was refused' }],
    ],
    [
      'an odd message',
      [{ PropertyName: 'Action', Message: {} }],
      [{ propertyName: 'Action', message: 'was refused' }],
    ],
    ['odd entries beside a good one', [null, 7, 'x', [], ...REFUSED.Errors], ACTION_REQUIRED],
    ['nothing but odd entries', [null, 7], [{ propertyName: undefined, message: 'The summary.' }]],
    ['an object for a list', { Action: 'no' }, [{ propertyName: undefined, message: 'The summary.' }]],
  ])('are made of an error with %s', (_, errors, expected) => {
    expect(faults(errors)).toEqual(expected);
  });

  it('are none where neither Errors nor Message says anything', () => {
    expect(faults(null, null)).toEqual([]);
    expect(faults([], { text: 'no' })).toEqual([]);
  });

  it.each<[unknown, string, string]>([
    ['s3cret', "'s3cret' is not allowed, s3cret!", "'(the value)' is not allowed, (the value)!"],
    [4711, '4711 is not a user', '(the value) is not a user'],
    [-1.5, '-1.5 is no id', '(the value) is no id'],
    ['a+b (c)', 'a+b (c) is odd', '(the value) is odd'],
    ['$&', 'not $&', 'not (the value)'],
    [null, 'null is nothing', 'null is nothing'],
    ['', 'is a required field', 'is a required field'],
    [{ a: 1 }, 'is a required field', 'is a required field'],
  ])('never repeat the attempted value %j', (AttemptedValue, Message, message) => {
    expect(faults([{ AttemptedValue, Message, PropertyName: 'Content' }])).toEqual([
      { propertyName: 'Content', message },
    ]);
  });

  it('never repeat any attempted value of two characters or more, wherever it stands', () => {
    // Of letters that "(the value)" does not have, so that the replacement cannot bring the value back.
    const value = fc
      .string({ unit: fc.constantFrom(...Array.from('XYZ019.*$&😀')), minLength: 2 })
      .filter((s) => s.length > 1);
    fc.assert(
      fc.property(value, fc.string(), fc.string(), (AttemptedValue, before, after) => {
        const Message = `${before}${AttemptedValue} ${AttemptedValue}${after}`;
        expect(JSON.stringify(faults([{ AttemptedValue, Message }]))).not.toContain(AttemptedValue);
      }),
    );
  });

  it('hold nothing else of the answer: no account, no record, no link', () => {
    const verdict = read('create', 400, {
      ...REFUSED,
      UpdatedBy: 'canary@example.com',
      Value: { Phone: 'canary' },
      RedirectURL: 'canary',
      Errors: [{ ...REFUSED.Errors[0], AttemptedValue: 'canary', StackTrace: 'canary' }],
    });
    expect(verdict).toEqual({ kind: 'rejected', faults: ACTION_REQUIRED });
  });
});

describe('the date of a success', () => {
  it.each<[unknown, string | null]>([
    ['2025-01-15T10:30:00Z', '2025-01-15T10:30:00Z'],
    ['2025-01-15T10:30:00', '2025-01-15T10:30:00Z'],
    ['2025-01-15T10:30:00.1234567', '2025-01-15T10:30:00.1234567Z'],
    ['2025-01-15T10:30:00.123Z', '2025-01-15T10:30:00.123Z'],
    ['2025-01-15T10:30', '2025-01-15T10:30Z'],
    ['2025-01-15T10:30:00+02:00', '2025-01-15T10:30:00+02:00'],
    ['2025-01-15T10:30:00-05:30', '2025-01-15T10:30:00-05:30'],
    ['2025-13-15T10:30:00Z', null],
    ['2025-01-15T25:30:00', null],
    ['2025-01-15', null],
    ['2025-01-15 10:30:00', null],
    ['15/01/2025 10:30', null],
    ['/Date(1736937000000)/', null],
    ['2025-01-15T10:30:00Z and more', null],
    ['', null],
    [1736937000000, null],
    [null, null],
    [undefined, null],
  ])('%j becomes %j', (UpdatedOn, updatedAt) => {
    expect(read('create', 200, { ...DONE, UpdatedOn })).toEqual(done(updatedAt));
  });
});

describe('readWriteResult', () => {
  const odd = fc.constantFrom<unknown>(true, false, null, 0, 1, 'true', '1', {}, [], 399, 400, 500, 1.5);
  const envelope = fc
    .record(
      {
        WasSuccessful: fc.oneof({ arbitrary: fc.constant(true), weight: 3 }, odd),
        Status: fc.oneof(fc.constant(200), fc.integer({ min: 100, max: 600 }), odd),
        Value: fc.oneof(fc.record({ Id: fc.oneof(fc.integer(), fc.double(), odd) }), odd),
        Errors: fc.oneof(odd, fc.array(fc.oneof(odd, fc.dictionary(fc.string(), odd)))),
        Message: odd,
        UpdatedOn: fc.oneof(odd, fc.string()),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value));
  const body = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), { arbitrary: envelope, weight: 3 });
  const status = fc.oneof(fc.constantFrom(200, 201, 400, 404), fc.integer({ min: 100, max: 599 }));
  const operation = fc.constantFrom(...OPERATIONS);

  /** The five conditions of a success, written down a second time. */
  function successfulId(httpStatus: number, text: string): number | undefined {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return undefined;
    }
    if (httpStatus < 200 || httpStatus > 299 || typeof json !== 'object' || json === null) return undefined;
    const { WasSuccessful, Status, Value } = json as Record<string, unknown>;
    const id = (Value as { Id?: unknown } | null | undefined)?.Id;
    if (WasSuccessful !== true || (typeof Status === 'number' && Status >= 400)) return undefined;
    return typeof id === 'number' && Number.isSafeInteger(id) && id > 0 ? id : undefined;
  }

  it('says done if and only if every condition of a success holds, whatever the status and the body', () => {
    fc.assert(
      fc.property(operation, status, body, (op, code, text) => {
        const verdict = read(op, code, text);
        expect(verdict.kind === 'done' ? verdict.id : undefined).toBe(successfulId(code, text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('is total: any answer, whole or cut off, gets a verdict, and what was cut off is never a success', () => {
    const kinds = ['rejected', 'not-found', 'throttled', 'unauthorized', 'forbidden', 'unknown'];
    fc.assert(
      fc.property(operation, status, body, fc.boolean(), (op, code, text, complete) => {
        const { kind } = read(op, code, text, complete);
        expect(complete ? [...kinds, 'done'] : kinds.slice(2)).toContain(kind);
      }),
      { numRuns: 2_000 },
    );
  });
});
