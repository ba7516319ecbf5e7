import { execFile } from 'node:child_process';
import { fileURLToPath, URL } from 'node:url';
import { promisify } from 'node:util';
import { CORES, pinned, TOOLS } from './machine.js';
import { BODY, CONNECTIONS } from './setting.js';

const SCRIPT = fileURLToPath(new URL('./wrk.lua', import.meta.url));
const AUTOCANNON = fileURLToPath(new URL('./autocannon.child.js', import.meta.url));
/** Enough for a delayed upstream, and far below what would hide a request that hangs. */
const TIMEOUT_S = 10;
const run = promisify(execFile);

/**
 * What is sent, and the only right answer to it.
 *
 * @typedef {object} Target
 * @property {string} url
 * @property {readonly string[]} authorizations taken in turn
 * @property {string} [body]
 * @property {string} [idempotencyKey]
 * @property {boolean} [keysAreNew] the key is the beginning of one of its own for each request
 * @property {{ status: number, equals?: string, includes?: string, header?: string }} expect
 */

/**
 * As many requests as there are answers: each connection sends its next one when it has its answer.
 *
 * @param {Target} target
 * @throws when anything but the right answer came
 */
export async function load(target, seconds) {
  const result = TOOLS.wrk ? await wrk(target, seconds) : await autocannon(target, seconds);
  if (result.wrong + result.broken > 0 || result.requests === 0) {
    throw new Error(
      `${target.url}: of ${result.requests} answers ${result.wrong} were wrong, ${result.broken} did not come. ${result.sample}`,
    );
  }
  return result;
}

async function wrk(target, seconds) {
  const args = [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${Math.ceil(seconds)}s`,
    `--timeout=${TIMEOUT_S}s`,
    '-s',
    SCRIPT,
    target.url,
  ];
  const { stdout } = await run(...pinned(CORES.load, TOOLS.wrk, args), { env: toEnv(target) });
  const [, ...fields] = /^RESULT (\d+) (\d+) (\d+) (\d+) (\S+) (\S+) ?(.*)$/m.exec(stdout) ?? [];
  const [requests, durationUs, wrong, broken, p50Us, p99Us] = fields.map(Number);
  return {
    requests,
    perSecond: requests / (durationUs / 1e6),
    p50Ms: p50Us / 1000,
    p99Ms: p99Us / 1000,
    wrong,
    broken,
    sample: fields[6],
  };
}

function toEnv({ authorizations, body = BODY, idempotencyKey, keysAreNew = false, expect }) {
  const env = {
    BODY: body,
    AUTHORIZATIONS: authorizations.join('\n'),
    IDEMPOTENCY_KEY: idempotencyKey,
    IDEMPOTENCY_KEYS_ARE_NEW: String(keysAreNew),
    EXPECT_STATUS: String(expect.status),
    EXPECT_EQUALS: expect.equals,
    EXPECT_INCLUDES: expect.includes,
    EXPECT_HEADER: expect.header,
  };
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

async function autocannon(target, seconds) {
  const options = {
    ...target,
    body: target.body ?? BODY,
    seconds,
    connections: CONNECTIONS,
    timeoutS: TIMEOUT_S,
  };
  const args = [AUTOCANNON, JSON.stringify(options)];
  const { stdout } = await run(...pinned(CORES.load, process.execPath, args));
  return JSON.parse(stdout);
}
