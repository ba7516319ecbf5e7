import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, URL } from 'node:url';
import { freePort, ServiceProcess } from '../../dist/sandbox/service-process.js';
import { ACCOUNT, BACKLOG_LIMIT, CALLERS, DELIVERY_TTL_S, LEDGER_KEY_ID } from './setting.js';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export const callers = Array.from({ length: CALLERS }, (_, index) => ({
  id: `caller-${index + 1}`,
  key: randomBytes(32).toString('hex'),
}));
/** The same for all replicas of a run. */
export const ledgerKey = randomBytes(32);

/**
 * Processes of the built service, all with the same environment.
 *
 * @param {object} options
 * @param {number} options.count
 * @param {string} options.upstreamUrl
 * @param {string} [options.databaseUrl] missing: one process with its memory
 * @param {string} options.writeLimits
 */
export async function startReplicas({ count, upstreamUrl, databaseUrl, writeLimits }) {
  const directory = await mkdtemp(join(tmpdir(), 'bench-ledger-'));
  const keysFile = join(directory, 'api-keys.json');
  await writeFile(keysFile, JSON.stringify(callers.map(toEntry)), { mode: 0o600 });
  const shared =
    databaseUrl === undefined
      ? {}
      : {
          DATABASE_URL: databaseUrl,
          LEDGER_KEYS: `${LEDGER_KEY_ID}:${ledgerKey.toString('base64')}`,
          DELIVERY_TTL_S: String(DELIVERY_TTL_S),
          DELIVERY_BACKLOG_LIMIT: String(BACKLOG_LIMIT),
          DELIVERY_BACKLOG_LIMIT_PER_CALLER: String(BACKLOG_LIMIT),
        };
  const start = async (index) => {
    const port = await freePort(0);
    const managementPort = await freePort(0);
    const service = new ServiceProcess(MAIN, {
      PATH: process.env.PATH,
      NODE_ENV: 'production',
      LOG_LEVEL: process.env.BENCH_LOG_LEVEL ?? 'error',
      HOST: '127.0.0.1',
      PORT: String(port),
      MANAGEMENT_PORT: String(managementPort),
      NEXUDUS_BASE_URL: upstreamUrl,
      NEXUDUS_USERNAME: ACCOUNT.username,
      NEXUDUS_PASSWORD: ACCOUNT.password,
      NEXUDUS_CLIENT_ID: `bench-${index}`,
      NEXUDUS_WRITE_LIMITS: writeLimits,
      NEXUDUS_CALL_LIMITS: 'off',
      AUTH_MODES: 'api-key',
      AUTH_API_KEYS_FILE: keysFile,
      ...shared,
    });
    return {
      service,
      url: `http://127.0.0.1:${port}`,
      ready: `http://127.0.0.1:${managementPort}/health/ready`,
    };
  };
  const replicas = await Promise.all(Array.from({ length: count }, (_, index) => start(index)));
  const stop = async () => {
    await Promise.all(replicas.map(({ service }) => service.stop()));
    await rm(directory, { recursive: true, force: true });
  };
  const readiness = await Promise.all(replicas.map(({ service, ready }) => service.isReady(ready)));
  if (readiness.includes(false)) {
    await stop();
    throw new Error('A replica did not get ready');
  }
  return { urls: replicas.map(({ url }) => url), stop };
}

function toEntry({ id, key }) {
  return { id, sha256: createHash('sha256').update(key).digest('hex'), businesses: '*' };
}
