import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { instructions, type Replica } from './instructions.js';
import { NexudusSandbox } from './nexudus-sandbox.js';
import { Postgres } from './postgres.js';
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
  const stopAsked = signalled();
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
  const isDatabaseWanted = env['SANDBOX_DATABASE'] !== 'none';
  const postgres = isDatabaseWanted ? await Postgres.start() : undefined;

  const common = { ...serviceEnv(env, sandbox, keysFile), ...databaseEnv(postgres) };
  const replicas = [await startReplica(env, common, 0)];
  // Only a database makes one of two.
  if (postgres !== undefined) replicas.push(await startReplica(env, common, 1));

  const isReady = Promise.all(
    replicas.map(({ service, managementUrl }) => service.isReady(`${managementUrl}/health/ready`)),
  ).then((answers) => answers.every((isOne) => isOne));
  const endedCodes = replicas.map(({ service }) => service.ended.then((code) => ({ code })));
  const first = await Promise.race([stopAsked, ...endedCodes, isReady]);
  if (first === true) {
    const at = { replicas, nexudusUrl: sandbox.url, apiKey: API_KEY };
    const seededAt = { seededId: seeded.Id, seededBusinessId: seeded.BusinessId };
    const hasColours = process.stdout.isTTY && env['NO_COLOR'] === undefined;
    console.log(instructions({ ...at, ...seededAt, isDatabaseWanted, hasColours }));
  } else if (first === false) {
    console.error('The service did not get ready in time.');
  }

  // One replica may be killed, to see that the other goes on.
  const lastEnded = Promise.all(endedCodes).then((all) => ({
    code: Math.max(...all.map(({ code }) => code)),
  }));
  const last = first === true ? await Promise.race([stopAsked, lastEnded]) : first;
  if (typeof last === 'object') console.error(`The service ended by itself, with exit code ${last.code}.`);
  await Promise.all(replicas.map(({ service }) => service.stop()));
  await postgres?.stop();
  await sandbox.close();
  await rm(keysDir, { recursive: true, force: true });
  if (last === 'stop') return 0;
  return typeof last === 'object' ? last.code : 1;
}

interface RunningReplica extends Replica {
  readonly service: ServiceProcess;
}

async function startReplica(
  env: NodeJS.ProcessEnv,
  common: NodeJS.ProcessEnv,
  index: number,
): Promise<RunningReplica> {
  const port = await freePort(portFrom(env['PORT'], 3000) + index);
  const managementPort = await freePort(portFrom(env['MANAGEMENT_PORT'], 9464) + index);
  const service = new ServiceProcess(fileURLToPath(new URL('../main.js', import.meta.url)), {
    ...common,
    PORT: String(port),
    MANAGEMENT_PORT: String(managementPort),
  });
  return {
    service,
    pid: service.pid,
    serviceUrl: `http://127.0.0.1:${port}`,
    managementUrl: `http://127.0.0.1:${managementPort}`,
  };
}

/** The surroundings of the service: nothing of a real Nexudus, caller or database may come along. */
function serviceEnv(
  env: NodeJS.ProcessEnv,
  { url, accounts }: NexudusSandbox,
  keysFile: string,
): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !/^(NEXUDUS|AUTH|DATABASE|LEDGER)_|^PG[A-Z]/.test(name),
  );
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
    LOG_LEVEL: env['LOG_LEVEL'] ?? 'warn',
  };
}

function databaseEnv(postgres: Postgres | undefined): NodeJS.ProcessEnv {
  if (postgres === undefined) return {};
  return { DATABASE_URL: postgres.url, LEDGER_KEYS: `sandbox:${randomBytes(32).toString('base64')}` };
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
