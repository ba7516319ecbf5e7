import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { slotOf, TestReplica } from './support/replica.js';
import { KEYS, startService, type TestService } from './support/service.js';
import { until } from './support/until.js';
import type { DeliveryPlace } from '../src/nexudus/delivery.line.js';
import type { SandboxOptions } from '../src/sandbox/nexudus-sandbox.js';

// What waits for itself: nothing of a replica's own may be in the way of what it has taken on.

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const MESSAGE = { businessId: 1, content: 'x' };
const OTHER = { authorization: `Bearer ${KEYS.businessesOneAndTwo}` };

async function start(env: Record<string, string> = {}, sandbox?: SandboxOptions): Promise<TestService> {
  const url = await postgres.createDatabase();
  return startService({ env: { ...databaseEnvironment(url), ...env }, ...(sandbox && { sandbox }) });
}

describe('a record that is read before it is replaced', () => {
  it.each([{}, { prefer: 'respond-async, wait=20' }])(
    'is not kept from it by the slot of the write: %j',
    async (prefer) => {
      const { sandbox, create, replace } = await start(
        { NEXUDUS_CALL_LIMITS: '1/100ms' },
        { callLimits: '1/100ms' },
      );
      const { Id } = sandbox.seed({ BusinessId: 1 });
      // So that it is ready to be sent when it comes.
      expect((await create(MESSAGE)).status).toBe(201);
      // Where it is, it waits for itself until its wait is over.
      expect((await replace(Id, MESSAGE, { ...OTHER, ...prefer })).status).toBe(200);
      expect(sandbox.calls.filter(({ throttled }) => throttled)).toEqual([]);
    },
  );
});

describe('deliveries that have to be sent once more', () => {
  it('have their slots, though no replica has a hand free for others', async () => {
    const one = await TestReplica.start(await postgres.createDatabase());
    const taken: DeliveryPlace[] = [];
    one.deliveries.serve({
      get isAble() {
        return taken.length === 0;
      },
      send: (_deliveryId, place) => taken.push(place),
    });
    await one.enter('a');
    await until(() => taken.length === 1);
    const [place = never()] = taken;
    (await slotOf(place)).end({ kind: 'answered' });
    await one.enter('b');
    (await slotOf(place)).end({ kind: 'answered' });
    expect(taken).toHaveLength(1);
  });

  it('are not taken out of the line while a replica has them in hand', async () => {
    const one = await TestReplica.start(await postgres.createDatabase(), '1/5s');
    one.serve();
    await one.enter('a');
    await until(() => one.sent.length === 1);
    const [{ place } = never()] = one.sent;
    (await slotOf(place)).end({ kind: 'answered' });
    const again = slotOf(place);
    await until(async () => (await one.deliveries.standing('a')) !== undefined);
    expect(await one.database.transaction((transaction) => one.deliveries.withdraw(transaction, 'a'))).toBe(
      false,
    );
    (await again).end({ kind: 'answered' });
  });
});

describe('many that hand over at once', () => {
  it('leave the database to those who send, and are all taken on', async () => {
    // None is refused for its wait alone, however long a machine takes for so many.
    const { create, manage } = await start({
      NEXUDUS_WRITE_LIMITS: '60/1m',
      LOG_LEVEL: 'error',
      REQUEST_DEADLINE_MS: '100000',
    });
    expect((await create(MESSAGE)).status).toBe(201);
    const handedOver = Promise.all(
      Array.from({ length: 900 }, () => create(MESSAGE, { prefer: 'respond-async' })),
    );
    const answered: unknown[] = [];
    void handedOver.then((answers) => answered.push(...answers));
    while (answered.length === 0) {
      expect((await manage('/health/ready')).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect((await handedOver).filter(({ status }) => status !== 202)).toEqual([]);
  });
});

function never(): never {
  throw new Error('nothing is there');
}
