import type { LoggerService } from '@nestjs/common';
import { type DestinationStream, type Logger, pino } from 'pino';
import type { AppLogger } from './app-logger.js';

/** The one logger of the process: JSON lines, on stdout where nothing else is given. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'message' };
  return destination ? pino(options, destination) : pino(options);
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
