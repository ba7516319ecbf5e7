import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { startService } from './support/service.js';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

describe('with a database', () => {
  it('several replicas that start at once all get ready', async () => {
    const env = databaseEnvironment(await postgres.createDatabase());
    const replicas = await Promise.all([1, 2, 3].map(() => startService({ env })));
    for (const { manage } of replicas) expect((await manage('/health/ready')).status).toBe(200);
  });
});
