/**
 * One replica, as main.js starts it, that kills or freezes itself at a named point where its environment says so:
 * `DRILL_POINT`, `DRILL_SIGNAL` and `DRILL_NTH`, the how many-th time that it comes there.
 */
import { writeSync } from 'node:fs';
import 'reflect-metadata';
import { startApp } from '../../dist/app.setup.js';
import { loadConfig } from '../../dist/config/load-config.js';
import { PgIdempotencyStore } from '../../dist/ledger/pg.idempotency.store.js';
import { createLogger } from '../../dist/observability/json-logger.js';
import { hangPoints } from './hang-points.js';

const { DRILL_POINT: point, DRILL_SIGNAL: signal = 'SIGKILL', DRILL_NTH: nth = '1' } = process.env;
const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`);

let passes = 0;
let isArmed = true;
// The drill is over: from now on it is a replica like any other.
process.on('message', () => {
  isArmed = false;
});
process.channel?.unref();
if (point !== undefined) {
  hangPoints((name) => {
    if (!isArmed || name !== point || (passes += 1) !== Number(nth)) return;
    // Written before it ends, whatever becomes of the event loop.
    say({ drill: 'point', point, signal });
    process.kill(process.pid, signal);
  });
}

// Half a minute, for which a key is held up whose holder was killed, would be most of a run. Longer than any request.
const KEY_LEASE_MS = 9_000;
const { claim, renew } = PgIdempotencyStore.prototype;
PgIdempotencyStore.prototype.claim = function (scope, fingerprint, _leaseMs, ...more) {
  return claim.call(this, scope, fingerprint, KEY_LEASE_MS, ...more);
};
PgIdempotencyStore.prototype.renew = function (lease) {
  return renew.call(this, lease, KEY_LEASE_MS);
};

const config = loadConfig(process.env, process.env.HOSTNAME ?? 'drill');
const app = await startApp(config, createLogger(config.observability.logLevel));
say({ drill: 'ready', port: app.apiPort, managementPort: app.managementPort });
process.on('SIGTERM', () => void app.stop().then(() => process.exit(0)));
