import { hostname } from 'node:os';
import type { RunningApp } from './app.setup.js';
import type { ConfigFault } from './config/load-config.js';
import { createLogger } from './observability/json-logger.js';

/** EX_CONFIG of sysexits.h: restarting does not help, somebody has to change the configuration. */
const EXIT_CONFIG = 78;
/** EX_USAGE of the same. */
const EXIT_USAGE = 64;
/** What a stop may take beyond the time for requests: closing sockets, the last lines of the log. */
const EXIT_GRACE_MS = 2_000;

let logger = createLogger('info');
let app: RunningApp | undefined;
let shutdownTimeoutMs = 0;
let stopping = false;
/** Without one the service runs. */
const [, , command] = process.argv;
/** Of one that is told to stop. A command is not done then. */
let exitCode = command === undefined ? 0 : 1;

// First of all: process 1 of a container ignores a signal that nobody listens for. A second one changes nothing.
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
process.on('uncaughtException', stopFor);
process.on('unhandledRejection', stopFor);
// What Node prints of its own accord is no JSON, and of an error it is everything that hangs on it, headers included.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  logger.warn({ err: warning }, 'A warning of Node');
});

// Only now what takes time to load; first what decorators need, wherever they stand.
await import('reflect-metadata');
const { startApp } = await import('./app.setup.js');
const { ConfigError, loadConfig, namedFiles } = await import('./config/load-config.js');
const { fileFaults } = await import('./file-faults.js');

try {
  const files = namedFiles(process.env);
  // Whoever migrates need not have the other files.
  const faults = await fileFaults(command === 'migrate' ? { databaseUrl: files.databaseUrl } : files);
  const config = loadConfig(process.env, hostname(), faults);
  logger = createLogger(config.observability.logLevel);
  shutdownTimeoutMs = config.http.shutdownTimeoutMs;
  if (command === undefined) {
    app = await startApp(config, logger);
    logger.info({ port: app.apiPort, managementPort: app.managementPort }, 'ready');
  } else if (command === 'migrate') {
    const { migrateDatabase } = await import('./migrate.command.js');
    await migrateDatabase(config, logger);
    exit(0);
  } else {
    logger.error({ command }, 'There is one command, migrate; without one the service starts');
    exit(EXIT_USAGE);
  }
} catch (error) {
  const faults = configFaults(error);
  if (faults) {
    for (const { variable, expected } of faults) logger.error({ variable }, `${variable} ${expected}`);
    logger.error({ faults: faults.length }, 'The configuration is not usable');
  } else {
    logger.fatal(
      { err: error },
      command === undefined ? 'The service could not start' : 'The command failed',
    );
  }
  exit(faults ? EXIT_CONFIG : 1);
}

/** Nobody knows what such a fault leaves behind: nothing more is taken in. What is sent is finished, or it were unknown. */
function stopFor(fault: unknown): void {
  exitCode = 1;
  logger.fatal({ err: fault }, 'A fault that nobody caught: the service ends');
  stop();
}

function stop(signal?: NodeJS.Signals): void {
  if (stopping) return;
  stopping = true;
  logger.info({ signal }, 'stopping');
  if (app === undefined) {
    exit(exitCode);
    return;
  }
  // Also keeps the process alive until the end: the sockets that are still to be closed do not.
  setTimeout(() => {
    logger.error({}, 'stopped before everything was finished');
    process.exit(1);
  }, shutdownTimeoutMs + EXIT_GRACE_MS);
  void app.stop().then(() => {
    logger.info({}, 'stopped');
    exit(exitCode);
  });
}

/** Ends the process when all of its log is written. */
function exit(code: number): void {
  logger.flush(() => process.exit(code));
}

/** The faults, where the start failed for the configuration. */
function configFaults(error: unknown): readonly ConfigFault[] | undefined {
  if (error instanceof ConfigError) return error.faults;
  // Of the listeners: a start waits for nothing else that has an address.
  if (
    error instanceof Error &&
    'code' in error &&
    ['ENOTFOUND', 'EADDRNOTAVAIL'].includes(String(error.code))
  )
    return [{ variable: 'HOST', expected: 'must be an address of this machine' }];
  return undefined;
}
