import { URL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Pool } from 'undici';
import { isRight } from './answers.js';

/** The open-loop sender; see paced.js. */

/** Until then connections are opened; not counted. */
const LEAD_MS = 500;
const CONNECTIONS = 256;

const { url, authorizations, body, perSecond, seconds, expect } = JSON.parse(process.argv[2]);
const { origin, pathname } = new URL(url);
const pool = new Pool(origin, { connections: CONNECTIONS });
const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const startAtMs = nowMs() + 50;
const intervalMs = 1000 / perSecond;
const lead = Math.ceil(LEAD_MS / intervalMs);
const count = lead + perSecond * seconds;
const samplesMs = [];
const lateMs = [];
const wrong = [];
let settled = 0;

// Timers of the event loop know whole milliseconds, and spinning would take the core from the upstream: a thread that
// sleeps exactly gives the time.
const ticker = new Worker(new URL('./ticker.worker.js', import.meta.url), {
  workerData: { startAtMs, intervalMs, count },
});
ticker.on('message', (index) => void send(index));

async function send(index) {
  const intendedAtMs = startAtMs + index * intervalMs;
  if (index >= lead) lateMs.push(nowMs() - intendedAtMs);
  try {
    const answer = await pool.request({
      method: 'POST',
      path: pathname,
      headers: {
        authorization: authorizations[index % authorizations.length],
        'content-type': 'application/json',
      },
      body,
    });
    const text = await answer.body.text();
    if (index >= lead) samplesMs.push(nowMs() - intendedAtMs);
    if (!isRight(expect, answer.statusCode, text, answer.headers)) {
      wrong.push(`${answer.statusCode} ${text.slice(0, 300)}`);
    }
  } catch (error) {
    wrong.push(String(error));
  }
  settled += 1;
  if (settled === count) await report();
}

async function report() {
  process.stdout.write(JSON.stringify({ samplesMs, lateMs, wrong }));
  await pool.close();
}
