import { parentPort, workerData } from 'node:worker_threads';

/** Tells each moment at which a request is to be sent; see paced.child.js. */

const { startAtMs, intervalMs, count } = workerData;
const nobodyWakesMe = new Int32Array(new SharedArrayBuffer(4));

for (let index = 0; index < count; index += 1) {
  const leftMs = startAtMs + index * intervalMs - Number(process.hrtime.bigint()) / 1e6;
  if (leftMs > 0) Atomics.wait(nobodyWakesMe, 0, 0, leftMs);
  parentPort.postMessage(index);
}
