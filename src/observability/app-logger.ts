/**
 * The log: one JSON line per event. Fields first, then a sentence for a person.
 * Never given a secret, a token or the content of a message.
 */
export abstract class AppLogger {
  abstract debug(fields: object, message: string): void;
  abstract info(fields: object, message: string): void;
  abstract warn(fields: object, message: string): void;
  abstract error(fields: object, message: string): void;
}
