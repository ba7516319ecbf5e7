import axios from 'axios';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, URL } from 'node:url';
import { freePort, ServiceProcess } from '../../../dist/sandbox/service-process.js';
import { ACCOUNT, ATTEMPT_TIMEOUT_MS, CALL_LIMITS, CALLERS, WRITE_LIMITS } from '../setting.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
/** The service answers within its own deadline; this only keeps a hung one from stopping the benchmark. */
const CLIENT_TIMEOUT_MS = 60_000;

export const thisService = contestant(
  'nexudus-bff',
  25_000,
  'This service with its default wait of 25 s: most of the backlog waits inside.',
);

export const thisServiceShortWait = contestant(
  'nexudus-bff, wait 2.5 s',
  2_500,
  'The same with its wait in a tenth of the time, too: most of the backlog is sent away at once with a `Retry-After`, and comes back.',
);

function contestant(name, requestDeadlineMs, about) {
  return { name, about, start: (upstreamUrl) => start(upstreamUrl, requestDeadlineMs) };
}

async function start(upstreamUrl, requestDeadlineMs) {
  const directory = await mkdtemp(join(tmpdir(), 'bench-quota-'));
  const keys = new Map(CALLERS.map((caller) => [caller, randomBytes(32).toString('hex')]));
  const keysFile = join(directory, 'api-keys.json');
  await writeFile(keysFile, JSON.stringify([...keys].map(toEntry)), { mode: 0o600 });
  const port = await freePort(0);
  const managementPort = await freePort(0);
  const service = new ServiceProcess(MAIN, {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    LOG_LEVEL: 'error',
    HOST: '127.0.0.1',
    PORT: String(port),
    MANAGEMENT_PORT: String(managementPort),
    NEXUDUS_BASE_URL: upstreamUrl,
    NEXUDUS_USERNAME: ACCOUNT.username,
    NEXUDUS_PASSWORD: ACCOUNT.password,
    NEXUDUS_CLIENT_ID: 'bench-quota',
    NEXUDUS_WRITE_LIMITS: WRITE_LIMITS,
    NEXUDUS_CALL_LIMITS: CALL_LIMITS,
    NEXUDUS_ATTEMPT_TIMEOUT_MS: String(ATTEMPT_TIMEOUT_MS),
    REQUEST_DEADLINE_MS: String(requestDeadlineMs),
    AUTH_MODES: 'api-key',
    AUTH_API_KEYS_FILE: keysFile,
  });
  const stop = async () => {
    await service.stop();
    await rm(directory, { recursive: true, force: true });
  };
  if (!(await service.isReady(`http://127.0.0.1:${managementPort}/health/ready`))) {
    await stop();
    throw new Error('The service did not get ready');
  }
  const client = axios.create({
    baseURL: `http://127.0.0.1:${port}`,
    timeout: CLIENT_TIMEOUT_MS,
    validateStatus: () => true,
  });
  return { deliver: (message, signal) => deliver(client, keys.get(message.caller), message, signal), stop };
}

function toEntry([id, key]) {
  return { id, sha256: createHash('sha256').update(key).digest('hex'), businesses: '*' };
}

/** Does what the service's answers say, and nothing else. */
async function deliver(client, key, { businessId, content }, signal) {
  const headers = { Authorization: `Bearer ${key}` };
  for (;;) {
    let answer;
    try {
      answer = await client.post('/v1/chat-messages', { businessId, content }, { headers, signal });
    } catch {
      // No answer from the service itself: it may or may not have been sent.
      return 'unknown';
    }
    if (answer.status === 201) return 'done';
    if (answer.data.outcome === 'unknown') return 'unknown';
    if (!answer.data.retryable) return 'failed';
    await delay(Number(answer.headers['retry-after']) * 1_000, undefined, { signal });
  }
}
