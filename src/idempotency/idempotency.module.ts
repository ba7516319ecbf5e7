import { Module } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { HttpConfig, IdempotencyConfig } from '../config/sections.js';
import { Idempotency } from './idempotency.js';
import { IdempotencyStore, SHARED_IDEMPOTENCY_STORE } from './idempotency.store.js';
import { MemoryIdempotencyStore } from './memory.idempotency.store.js';

/** More than a write a second that stays unknown for a whole day. */
const HELD_KEYS = 100_000;
const ANSWER_BYTES = 64 * 2 ** 20;
/** An answer repeats its request's text, in which one byte can become six, of two bytes each. */
const LARGEST_ANSWER_PER_BODY_BYTE = 12;

/** Same key, same answer. */
@Module({
  providers: [
    Idempotency,
    {
      provide: IdempotencyStore,
      inject: [IdempotencyConfig, HttpConfig, Clock, { token: SHARED_IDEMPOTENCY_STORE, optional: true }],
      useFactory: (
        { ttlMs }: IdempotencyConfig,
        { bodyLimitBytes }: HttpConfig,
        clock: Clock,
        shared: IdempotencyStore | undefined,
      ): IdempotencyStore =>
        shared ??
        new MemoryIdempotencyStore(
          {
            ttlMs,
            heldKeys: HELD_KEYS,
            // Room for one at least, whatever the limit for bodies.
            answerBytes: Math.max(ANSWER_BYTES, 2 * LARGEST_ANSWER_PER_BODY_BYTE * bodyLimitBytes),
          },
          clock,
        ),
    },
  ],
  exports: [Idempotency],
})
export class IdempotencyModule {}
