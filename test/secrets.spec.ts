import { describe, expect, it } from '@jest/globals';
import { scenarioCatalogue } from '../src/sandbox/scenario-catalogue.js';
import type { Scenario, ScenarioKind } from '../src/sandbox/scenario.js';
import { type Answer, KEYS, startService, type TestService } from './support/service.js';

const PASSWORD = 'canary"pass & word\\';
const TOTP_SECRET = 'CANARYCANARYCANA';
const CONTENT = 'canary-content';
const UNKNOWN_KEY = 'canary-unknown-key';
const ACCOUNT = {
  username: 'canary-account@example.com',
  password: PASSWORD,
  totpSecret: TOTP_SECRET,
  roles: 'all' as const,
};

async function startWithCanaries(): Promise<TestService> {
  return startService({
    env: {
      LOG_LEVEL: 'trace',
      NEXUDUS_USERNAME: ACCOUNT.username,
      NEXUDUS_PASSWORD: PASSWORD,
      NEXUDUS_TOTP_SECRET: TOTP_SECRET,
    },
    sandbox: { accounts: [{ ...ACCOUNT }] },
  });
}

/** The tokens that were in use: from the calls in which they were spent. */
function tokensOf({ sandbox }: TestService): string[] {
  const access = sandbox.writes.map(({ headers }) => String(headers.authorization).replace('Bearer ', ''));
  const refresh = sandbox.tokenCalls.flatMap(({ body }) => new URLSearchParams(body).getAll('refresh_token'));
  return [...new Set([...access, ...refresh])];
}

/** Everything that operators and callers got to see. */
async function allThatIsSeen({ rawLog, manage }: TestService, problems: readonly Answer[]): Promise<string> {
  const pages = await Promise.all(['/metrics', '/info', '/health/ready?verbose'].map((path) => manage(path)));
  return [...rawLog, ...pages.map(({ text }) => text), ...problems.map(({ text }) => text)].join('\n');
}

function expectNoCanaryIn(text: string, service: TestService): void {
  const spellings = [PASSWORD, JSON.stringify(PASSWORD).slice(1, -1), encodeURIComponent(PASSWORD)];
  const tokens = tokensOf(service);
  expect(tokens.length).toBeGreaterThan(0);
  for (const secret of [...spellings, TOTP_SECRET, CONTENT, UNKNOWN_KEY, KEYS.everything, ...tokens]) {
    expect(text).not.toContain(secret);
  }
  expect(text).not.toMatch(/canary/i);
}

describe('no secret, no key and no content of a message is seen anywhere, at LOG_LEVEL=trace', () => {
  const kinds = Object.keys(scenarioCatalogue) as ScenarioKind[];

  it.each(kinds.filter((kind) => scenarioCatalogue[kind].fromWord !== undefined))(
    'when a write meets: %s',
    async (kind) => {
      const service = await startWithCanaries();
      const { create, replace, sandbox } = service;
      const { Id } = sandbox.seed({ BusinessId: 1 });
      // So that there is a token, however short the wait.
      await create({ businessId: 1, content: CONTENT });
      const body = { businessId: 1, content: `${CONTENT} sandbox:${kind}` };
      const answers = [
        await create(body, { prefer: 'wait=1' }),
        await replace(Id, body, { prefer: 'wait=1' }),
      ];
      const problems = answers.filter(({ status }) => status >= 400);
      expectNoCanaryIn(await allThatIsSeen(service, problems), service);
      sandbox.release();
    },
  );

  it.each<Scenario>([
    { kind: 'token-error', error: 'invalid_grant', description: `no: ${PASSWORD}` },
    { kind: 'json', status: 400, body: { error: PASSWORD, error_description: TOTP_SECRET } },
    { kind: 'json', status: 200, body: { access_token: `${CONTENT}\n`, refresh_token: PASSWORD } },
    { kind: 'html' },
    { kind: 'not-json' },
    { kind: 'lost' },
    { kind: 'truncated' },
    { kind: 'garbage' },
  ])('when the token endpoint says: %j', async (scenario) => {
    const service = await startWithCanaries();
    const { create, sandbox } = service;
    await create({ businessId: 1, content: CONTENT });
    sandbox.revokeAccessTokens();
    sandbox.always(scenario, { on: 'token' });
    const problem = await create({ businessId: 1, content: CONTENT }, { prefer: 'wait=5' });
    expect(problem.status).toBe(503);
    expectNoCanaryIn(await allThatIsSeen(service, [problem]), service);
  });

  it('when Nexudus repeats all that it knows', async () => {
    const service = await startWithCanaries();
    const { create, sandbox } = service;
    await create({ businessId: 1, content: CONTENT });
    sandbox.revokeAccessTokens();
    await create({ businessId: 1, content: CONTENT });
    const says = [PASSWORD, encodeURIComponent(PASSWORD), TOTP_SECRET, KEYS.everything, ACCOUNT.username];
    const sentences = [...says, ...tokensOf(service), `Bearer ${UNKNOWN_KEY}`, `password=${CONTENT}x`].map(
      (value) => ({ PropertyName: 'Content', Message: `Not with ${value}, please`, AttemptedValue: null }),
    );
    sandbox.next({ kind: 'reject', errors: sentences });
    const problem = await create({ businessId: 1, content: CONTENT });
    expect(problem.status).toBe(422);
    expect(problem.json['errors']).toHaveLength(sentences.length);
    expectNoCanaryIn(await allThatIsSeen(service, [problem]), service);
  });

  it('when a caller puts them where they do not belong', async () => {
    const service = await startWithCanaries();
    const { create, call, sandbox } = service;
    await create({ businessId: 1, content: CONTENT });
    const problems = [
      await create(`{"businessId":1,"content":"${CONTENT}`),
      await create({ businessId: CONTENT, content: CONTENT }),
      await create({ businessId: 1, content: { [CONTENT]: CONTENT } }),
      await create({ businessId: 1, content: CONTENT }, { 'content-type': `text/${CONTENT}` }),
      await create({ businessId: 1, content: '' }, { 'x-request-id': KEYS.everything }),
      await call('GET', `/nothing?key=${KEYS.everything}`, {
        headers: { authorization: `Bearer ${KEYS.everything}` },
      }),
      await create({ businessId: 1, content: CONTENT }, { authorization: `Bearer ${UNKNOWN_KEY}` }),
      await create({ businessId: 1, content: CONTENT }, { authorization: `Basic ${UNKNOWN_KEY}` }),
    ];
    for (const { status } of problems) expect(status).toBeGreaterThanOrEqual(400);
    expect(sandbox.writes).toHaveLength(1);
    expectNoCanaryIn(await allThatIsSeen(service, problems), service);
  });
});

describe('what somebody without a key presents', () => {
  it('takes no word of its choice out of the log or of a problem', async () => {
    const { create, log } = await startService();
    const answer = await create({ businessId: 1, content: 'x' }, { authorization: 'Bearer unauthenticated' });
    expect(answer.json).toMatchObject({ type: '/problems/unauthenticated' });
    expect(log.filter(({ message }) => message === 'request')).toMatchObject([
      { problem: 'unauthenticated' },
    ]);
  });
});
