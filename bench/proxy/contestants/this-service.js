import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, URL } from 'node:url';
import { freePort } from '../../../dist/sandbox/service-process.js';
import { Child, EndedEarly } from '../child.js';
import { CORES } from '../machine.js';
import { CALLERS, CALL_LIMITS, MAPPED, WRITE_LIMITS } from '../setting.js';
import { AUDIENCE, startIssuer } from './issuer.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));
/** EX_CONFIG: this version does not know what it was asked for. */
const EXIT_CONFIG = 78;

/**
 * Starts the service as in production.
 *
 * @param probed with a look at its memory: see probe.js
 * @returns `undefined` where it says that its configuration is not for this version
 */
export async function thisService({
  upstreamUrl,
  withJwt = false,
  probed = false,
  callers = CALLERS,
  env = {},
}) {
  const directory = await mkdtemp(join(tmpdir(), 'bench-proxy-'));
  const [port, managementPort] = [await freePort(0), await freePort(0)];
  const management = `http://127.0.0.1:${managementPort}`;
  const identity = withJwt ? await jwtIdentity(callers) : await keyIdentity(callers, directory);
  const clean = async () => {
    await identity.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const child = await Child.start({
      command: process.execPath,
      args: [MAIN],
      core: CORES.contestant,
      readyUrl: `${management}/health/ready`,
      probed,
      env: {
        NODE_ENV: 'production',
        HOST: '127.0.0.1',
        PORT: String(port),
        MANAGEMENT_PORT: String(managementPort),
        NEXUDUS_BASE_URL: upstreamUrl,
        NEXUDUS_USERNAME: 'service@example.com',
        NEXUDUS_PASSWORD: 'benchmark-password',
        NEXUDUS_CLIENT_ID: 'bench-proxy',
        NEXUDUS_WRITE_LIMITS: WRITE_LIMITS,
        NEXUDUS_CALL_LIMITS: CALL_LIMITS,
        SHUTDOWN_TIMEOUT_MS: '1000',
        ...identity.env,
        ...env,
      },
    });
    return {
      target: {
        url: `http://127.0.0.1:${port}/v1/chat-messages`,
        authorizations: identity.authorizations,
        expect: MAPPED,
      },
      child,
      management,
      stop: async () => {
        await child.stop();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    if (error instanceof EndedEarly && error.exitCode === EXIT_CONFIG) return undefined;
    throw error;
  }
}

async function keyIdentity(callers, directory) {
  const keys = Array.from({ length: callers }, () => randomBytes(32).toString('hex'));
  const file = join(directory, 'api-keys.json');
  const entries = keys.map((key, index) => ({
    id: `caller-${index}`,
    sha256: createHash('sha256').update(key).digest('hex'),
    businesses: '*',
  }));
  await writeFile(file, JSON.stringify(entries), { mode: 0o600 });
  return {
    env: { AUTH_MODES: 'api-key', AUTH_API_KEYS_FILE: file },
    authorizations: keys.map((key) => `Bearer ${key}`),
    stop: async () => undefined,
  };
}

async function jwtIdentity(callers) {
  const issuer = await startIssuer(callers);
  return {
    env: { AUTH_MODES: 'jwt', AUTH_JWT_ISSUER: issuer.url, AUTH_JWT_AUDIENCE: AUDIENCE },
    authorizations: issuer.tokens.map((token) => `Bearer ${token}`),
    stop: issuer.stop,
  };
}
