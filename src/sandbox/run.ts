import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { instructions } from './instructions.js';
import { NexudusSandbox } from './nexudus-sandbox.js';
import { freePort, ServiceProcess } from './service-process.js';

/** Fixed, so that curl lines can be pasted again after a restart. Its hash is known to this process' service only. */
const API_KEY = 'sandbox-key-for-local-use-only';

if (process.env['NODE_ENV'] === 'production') {
  console.error('The sandbox is not for production: unset NODE_ENV to run it.');
  process.exitCode = 1;
} else {
  process.exitCode = await run(process.env);
}

/** Runs the fake and the service side by side until one of them, or a person, ends it. */
async function run(env: NodeJS.ProcessEnv): Promise<number> {
  const sandbox = await NexudusSandbox.start({
    port: await freePort(portFrom(env['SANDBOX_PORT'], 4010)),
    writeLimits: '60/1m,2500/1d',
    callLimits: '120/1m,5000/1h',
  });
  const seeded = sandbox.seed({ Id: 1001, BusinessId: 1, Content: 'See you at nine.' });
  const keysDir = await mkdtemp(join(tmpdir(), 'nexudus-sandbox-'));
  const keysFile = join(keysDir, 'api-keys.json');
  const sha256 = createHash('sha256').update(API_KEY).digest('hex');
  await writeFile(keysFile, JSON.stringify([{ id: 'sandbox', sha256, businesses: '*' }]), { mode: 0o600 });

  const port = await freePort(portFrom(env['PORT'], 3000));
  const managementPort = await freePort(portFrom(env['MANAGEMENT_PORT'], 9464));
  const stopAsked = signalled();
  const service = new ServiceProcess(
    fileURLToPath(new URL('../main.js', import.meta.url)),
    serviceEnv(env, sandbox, { port, managementPort, keysFile }),
  );

  const managementUrl = `http://127.0.0.1:${managementPort}`;
  const isReady = service.isReady(`${managementUrl}/health/ready`);
  const ended = service.ended.then((code) => ({ code }));
  const first = await Promise.race([stopAsked, ended, isReady]);
  if (first === true) {
    const serviceUrl = `http://127.0.0.1:${port}`;
    const at = { serviceUrl, managementUrl, nexudusUrl: sandbox.url, apiKey: API_KEY };
    const seededAt = { seededId: seeded.Id, seededBusinessId: seeded.BusinessId };
    const hasColours = process.stdout.isTTY && env['NO_COLOR'] === undefined;
    console.log(instructions({ ...at, ...seededAt, hasColours }));
  } else if (first === false) {
    console.error('The service did not get ready in time.');
  }

  const last = first === false ? 'not-ready' : await Promise.race([stopAsked, ended]);
  if (typeof last === 'string') await service.stop();
  else console.error(`The service ended by itself, with exit code ${last.code}.`);
  await sandbox.close();
  await rm(keysDir, { recursive: true, force: true });
  if (last === 'stop') return 0;
  return last === 'not-ready' ? 1 : last.code;
}

/** The surroundings of the service: nothing of a real Nexudus or a real caller may come along. */
function serviceEnv(
  env: NodeJS.ProcessEnv,
  { url, accounts }: NexudusSandbox,
  { port, managementPort, keysFile }: { port: number; managementPort: number; keysFile: string },
): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !/^(NEXUDUS|AUTH)_/.test(name));
  return {
    ...Object.fromEntries(kept),
    NODE_ENV: 'development',
    NEXUDUS_BASE_URL: url,
    NEXUDUS_USERNAME: accounts[0]?.username,
    NEXUDUS_PASSWORD: accounts[0]?.password,
    NEXUDUS_CLIENT_ID: 'sandbox',
    AUTH_MODES: 'api-key',
    AUTH_API_KEYS_FILE: keysFile,
    HOST: '127.0.0.1',
    PORT: String(port),
    MANAGEMENT_PORT: String(managementPort),
    LOG_LEVEL: env['LOG_LEVEL'] ?? 'warn',
  };
}

/** Resolves at the first Ctrl-C or SIGTERM; npm forwards a Ctrl-C that came already, so later ones are ignored. */
function signalled(): Promise<'stop'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        resolve('stop');
      });
    }
  });
}

function portFrom(text: string | undefined, otherwise: number): number {
  const port = Number(text ?? otherwise);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : otherwise;
}
