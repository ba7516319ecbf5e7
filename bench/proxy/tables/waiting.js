import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { URL } from 'node:url';
import { fetch } from 'undici';
import { thisService } from '../contestants/this-service.js';
import { kilobytes, megabytes, table } from '../report.js';
import { BODY, MAPPED, WAITING, WAITING_KEYS } from '../setting.js';

/** Below the backlog of a listening socket in Node.js, so that no connection has to be tried again. */
const AT_ONCE = 256;
const POLL_MS = 100;
const WAITING_WITHIN_MS = 60_000;
/** What is closed is gone by then. */
const SETTLE_MS = 1_000;

/** What a caller costs that waits for the quota, and whether it is given back. */
export async function waitingCallers({ upstreamUrl, isQuick }) {
  const rows = [];
  for (const callers of isQuick ? WAITING.slice(0, 1) : WAITING) rows.push(await hold(callers, upstreamUrl));
  return {
    title: 'Memory of callers that wait',
    text: `Requests of ${WAITING_KEYS} API keys that are held because the window of writes is full, each on a connection of its
own, until all are answered 201. Heap (with what it holds outside) and RSS after a garbage collection, per caller: while
all wait, and when all are gone.`,
    tables: [
      table(
        [
          'Waiting',
          'Heap each',
          'RSS each',
          'RSS before',
          'RSS while they wait',
          'RSS after',
          'Heap left each',
        ],
        rows,
      ),
    ],
    notes: [],
  };
}

async function hold(callers, upstreamUrl) {
  // As many fill the window as wait for it; all are there before its first place is free again.
  const periodS = Math.ceil(10 + callers / 400);
  const running = await thisService({
    upstreamUrl,
    probed: true,
    callers: WAITING_KEYS,
    env: {
      NEXUDUS_WRITE_LIMITS: `${callers}/${periodS}s`,
      CALLER_WAITING_LIMIT: String(callers),
      REQUEST_DEADLINE_MS: '600000',
      LOG_LEVEL: 'warn',
    },
  });
  try {
    for (let left = callers; left > 0; left -= AT_ONCE) {
      await Promise.all((await sendAll(running.target, Math.min(AT_ONCE, left))).map(answered));
    }
    await delay(SETTLE_MS);
    const before = await running.child.probe();
    const answers = await sendAll(running.target, callers);
    await untilWaiting(running.management, callers);
    const during = await running.child.probe();
    await Promise.all(answers.map(answered));
    await delay(SETTLE_MS);
    const after = await running.child.probe();
    return [
      callers.toLocaleString('en'),
      kilobytes((during.heap - before.heap) / callers),
      kilobytes((during.rss - before.rss) / callers),
      megabytes(before.rss),
      megabytes(during.rss),
      megabytes(after.rss),
      kilobytes((after.heap - before.heap) / callers),
    ];
  } finally {
    await running.stop();
  }
}

/** Each on a connection of its own. Resolves when all are sent, to what will become of them. */
async function sendAll({ url, authorizations }, count) {
  const { port, pathname } = new URL(url);
  const sent = [];
  while (sent.length < count) {
    const batch = Math.min(AT_ONCE, count - sent.length);
    const sockets = await Promise.all(
      Array.from({ length: batch }, async () => {
        const socket = connect(Number(port), '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      }),
    );
    for (const socket of sockets) {
      const authorization = authorizations[sent.length % authorizations.length];
      sent.push(readAll(socket));
      socket.write(
        `POST ${pathname} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\n` +
          `Connection: close\r\nContent-Length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`,
      );
    }
  }
  // In an object: an array of promises that is returned as it is would be waited for by nobody, one in it by all.
  return sent.map((answer) => ({ answer }));
}

async function readAll(socket) {
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

async function answered({ answer }) {
  const text = await answer;
  if (!text.startsWith(`HTTP/1.1 ${MAPPED.status} `) || !text.endsWith(MAPPED.equals)) {
    throw new Error(`A caller that waited was answered ${text.slice(0, 1000)}`);
  }
}

async function untilWaiting(management, callers) {
  const deadlineMs = Date.now() + WAITING_WITHIN_MS;
  for (;;) {
    const metrics = await (await fetch(`${management}/metrics`)).text();
    const waiting = Number(/^nexudus_quota_waiting (\d+)$/m.exec(metrics)?.[1]);
    if (waiting === callers) return;
    if (Date.now() > deadlineMs) throw new Error(`Of ${callers} callers only ${waiting} wait`);
    await delay(POLL_MS);
  }
}
