import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import type { AppLogger } from './app-logger.js';
import { errorRecord } from './error-record.js';
import { processRedactor } from './redactor.js';

/**
 * The one logger of the process: JSON lines, on stdout where nothing else is given. What is a secret by its
 * name, its value or its looks is taken out of the finished line. Stdout is written to in the background: whoever ends
 * the process calls `flush` first, or the last lines overtake those that are under way.
 */
export function createLogger(level: string, destination: DestinationStream = stdout()): Logger {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: 'message',
    serializers: { err: errorRecord },
    // Not the option "redact": its wildcards cost 8 µs a line against 1 µs for this, and know one level alone.
    hooks: { streamWrite: (line) => processRedactor.redactJson(line) },
  };
  return pino(options, destination);
}

/** Each line is longer than `minLength`, so none is held back; with 0, `flush` would wait for nothing. */
function stdout(): DestinationStream {
  return pino.destination({ fd: process.stdout.fd, minLength: 1 });
}

/** Puts Nest's own lines into the same form. Its start-up chatter is for debugging. */
export function nestLogger(logger: AppLogger): LoggerService {
  const line =
    (level: 'debug' | 'warn' | 'error') =>
    (message: unknown): void => {
      logger[level]({ from: 'nest' }, message instanceof Error ? message.message : String(message));
    };
  return {
    log: line('debug'),
    debug: line('debug'),
    verbose: line('debug'),
    warn: line('warn'),
    error: line('error'),
  };
}
