import { hostname } from 'node:os';
import { startApp } from './app.setup.js';
import { ApiKeysUnusable } from './client-auth/api-keys.js';
import { ConfigError, type ConfigFault, loadConfig } from './config/load-config.js';
import { CredentialsUnusable } from './nexudus/credentials.js';
import { createLogger } from './observability/json-logger.js';

/** EX_CONFIG of sysexits.h: restarting does not help, somebody has to change the configuration. */
const EXIT_CONFIG = 78;

try {
  const config = loadConfig(process.env, hostname());
  const logger = createLogger(config.observability.logLevel);
  const app = await startApp(config, logger);
  logger.info({ port: app.apiPort, managementPort: app.managementPort }, 'ready');

  const stop = (signal: NodeJS.Signals): void => {
    logger.info({ signal }, 'stopping');
    // Not to be waited for: the process ends by itself when nothing is left to do.
    setTimeout(() => {
      logger.error({}, 'stopped before everything was finished');
      process.exit(1);
    }, config.http.shutdownTimeoutMs).unref();
    void app.stop().then(() => {
      logger.info({}, 'stopped');
      process.exit(0);
    });
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  const faults = configFaults(error);
  const logger = createLogger('info');
  if (faults) {
    for (const { variable, expected } of faults) logger.error({ variable }, `${variable} ${expected}`);
    logger.error({ faults: faults.length }, 'The configuration is not usable');
    process.exitCode = EXIT_CONFIG;
  } else {
    logger.fatal({ err: error }, 'The service could not start');
    process.exitCode = 1;
  }
  process.exit();
}

/** The faults, where the start failed for the configuration: in a variable, or in a file that one names. */
function configFaults(error: unknown): readonly ConfigFault[] | undefined {
  if (error instanceof ConfigError) return error.faults;
  if (error instanceof CredentialsUnusable)
    return [{ variable: 'NEXUDUS_CREDENTIALS_DIR', expected: error.message }];
  if (error instanceof ApiKeysUnusable) return [{ variable: 'AUTH_API_KEYS_FILE', expected: error.message }];
  return undefined;
}
