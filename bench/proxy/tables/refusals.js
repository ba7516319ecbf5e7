import { fetch } from 'undici';
import { service } from '../contestants.js';
import { thisService } from '../contestants/this-service.js';
import { inRounds, warmUp } from '../contest.js';
import { load } from '../load.js';
import { summary } from '../measure.js';
import { spread, table, times } from '../report.js';
import { BODY, MESSAGE } from '../setting.js';

const problem = (slug, status) => ({ status, includes: `"type":"/problems/${slug}"` });
const KEY = '"bench-replayed"';

/** What costs the upstream nothing must cost the service little. */
export async function refusals({ plan, upstreamUrl }) {
  const open = await service.start(upstreamUrl);
  const exhausted = await thisService({
    upstreamUrl,
    env: { NEXUDUS_WRITE_LIMITS: '1/1d' },
  });
  try {
    await send(exhausted.target);
    const { target } = open;
    const replay = { ...target, authorizations: target.authorizations.slice(0, 1), idempotencyKey: KEY };
    const kinds = [
      ['201, forwarded', target],
      ['201, replayed from its Idempotency-Key', (await isReplayed(replay)) ? withHeader(replay) : undefined],
      [
        '401 unauthenticated',
        {
          ...target,
          authorizations: ['Bearer nobody-knows-this-key'],
          expect: problem('unauthenticated', 401),
        },
      ],
      [
        '422 validation-failed',
        {
          ...target,
          body: JSON.stringify({ ...MESSAGE, businessId: 0, userId: 'me' }),
          expect: problem('validation-failed', 422),
        },
      ],
      ['429 quota-exhausted', { ...exhausted.target, expect: problem('quota-exhausted', 429) }],
    ];
    const entries = kinds.filter(([, aim]) => aim).map(([name, aim]) => ({ name, running: { target: aim } }));
    await warmUp(entries, plan.warmUpS / 2);
    const results = await inRounds(entries, plan.rounds, async ({ running }) => {
      return (await load(running.target, plan.roundS / 2)).perSecond;
    });
    const measured = [...results].map(([{ name }, rounds]) => ({ name, perSecond: summary(rounds) }));
    return {
      title: 'Answers that the upstream is not asked for',
      text: 'Of this service, over the same connections.',
      tables: [
        table(
          ['Answer', 'Requests/s', 'Of a forwarded one'],
          measured.map(({ name, perSecond }) => [
            name,
            spread(perSecond, 0),
            times(perSecond.median / measured[0].perSecond.median),
          ]),
        ),
      ],
      notes: kinds
        .filter(([, aim]) => aim === undefined)
        .map(([name]) => `Not run: ${name}, which this version does not have.`),
    };
  } finally {
    await open.stop();
    await exhausted.stop();
  }
}

async function isReplayed(target) {
  await send(target);
  return (await send(target)).headers.has('idempotency-replayed');
}

function withHeader(target) {
  return { ...target, expect: { ...target.expect, header: 'idempotency-replayed' } };
}

async function send({ url, authorizations, idempotencyKey }) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: authorizations[0],
      'content-type': 'application/json',
      ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
    },
    body: BODY,
  });
  await answer.text();
  return answer;
}
