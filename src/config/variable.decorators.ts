import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { ValidateBy } from 'class-validator';
import { isHeaderValue } from './header-value.js';
import { LEDGER_KEYS_EXPECTED, parseLedgerKeys } from './ledger-keys.js';
import { isPostgresUrl } from './postgres-url.js';
import { isTotpSecret, TOTP_SECRET_EXPECTED } from './totp-secret.js';
import { parseWindows } from './windows.js';

/**
 * One kind of environment variable: how its text is read, and what is expected of it.
 * A text that cannot be read is `undefined` to `read`, and fails with `expected` as the message.
 */
function variable(expected: string, read: (text: string) => unknown): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' ? (read(value.trim()) ?? INVALID) : value,
    ),
    ValidateBy({
      name: 'variable',
      validator: { validate: (value) => value !== INVALID, defaultMessage: () => expected },
    }),
  );
}

const INVALID = Symbol('invalid');

export const WholeNumber = (min: number, max: number): PropertyDecorator =>
  variable(`must be a whole number from ${min} to ${max}`, (text) =>
    /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
  );

export const OneOf = (...allowed: string[]): PropertyDecorator =>
  variable(`must be one of ${allowed.join(', ')}`, (text) => (allowed.includes(text) ? text : undefined));

export const SomeOf = (...allowed: string[]): PropertyDecorator =>
  variable(`must be a comma-separated list of ${allowed.join(', ')}`, (text) => {
    const items = commaList(text);
    return items.length > 0 && items.every((item) => allowed.includes(item)) ? items : undefined;
  });

/** Kept as it is written: an issuer is compared character by character (RFC 8414 section 3.3). */
export const HttpUrl = (): PropertyDecorator =>
  variable('must be an absolute http or https URL without credentials, query or fragment', (text) =>
    readHttpUrl(text) ? text : undefined,
  );

/** As {@link HttpUrl}, for an address that is only fetched from: it may tell with a query what is wanted. */
export const HttpUrlWithQuery = (): PropertyDecorator =>
  variable('must be an absolute http or https URL without credentials or fragment', (text) =>
    readHttpUrl(text, true) ? text : undefined,
  );

/** A base for problem types: an absolute URL, or a path on this service; ends in `/`. */
export const ReferenceBase = (): PropertyDecorator =>
  variable('must be an absolute http or https URL or an absolute path, and end in /', (text) =>
    text.endsWith('/') && (/^\/(?!\/)/.test(text) || readHttpUrl(text)) ? text : undefined,
  );

export const Origins = (): PropertyDecorator =>
  variable('must be a comma-separated list of origins such as https://app.example.com', (text) => {
    const origins = commaList(text);
    return origins.every((origin) => readHttpUrl(origin)?.origin === origin) ? origins : undefined;
  });

export const Windows = (): PropertyDecorator =>
  variable(
    'must be a list of limits per period such as 60/1m,2500/1d (units ms, s, m, h, d), or off',
    parseWindows,
  );

/** Any text but one that somebody forgot to fill in. Its value is never repeated in a fault. */
export const Text = (): PropertyDecorator =>
  variable('must be filled in: it still holds a placeholder', (text) =>
    PLACEHOLDER.test(text) ? undefined : text,
  );

/** It is sent as a header, as it is. */
export const HeaderValue = (): PropertyDecorator =>
  variable('must be visible ASCII characters without spaces', (text) =>
    isHeaderValue(text) ? text : undefined,
  );

/** As {@link Text}, but leading and trailing space belongs to it. */
export const Secret = (): PropertyDecorator =>
  applyDecorators(
    ValidateBy({
      name: 'secret',
      validator: {
        validate: (value) => typeof value !== 'string' || !PLACEHOLDER.test(value.trim()),
        defaultMessage: () => 'must be filled in: it still holds a placeholder',
      },
    }),
  );

/** As {@link Secret}; space around it does not belong to it. */
export const TotpSecret = (): PropertyDecorator =>
  applyDecorators(
    Secret(),
    variable(TOTP_SECRET_EXPECTED, (text) => (isTotpSecret(text) ? text : undefined)),
  );

export const TrueOrFalse = (): PropertyDecorator =>
  variable('must be true or false', (text) => (/^(true|false)$/.test(text) ? text === 'true' : undefined));

/** Where a PostgreSQL server is, and who we are there. Its value is never repeated in a fault. */
export const PostgresUrl = (): PropertyDecorator =>
  variable(
    'must be a PostgreSQL connection string such as postgresql://user:password@host:5432/name',
    (text) => (isPostgresUrl(text) ? text : undefined),
  );

/** Keys that data is encrypted with at rest. Their values are never repeated in a fault. */
export const Keyring = (): PropertyDecorator => variable(LEDGER_KEYS_EXPECTED, parseLedgerKeys);

const PLACEHOLDER = /^(<.*>|change[-_ ]?me|your[-_ ].*|x{3,}|todo|\.{3}|\$\{.*\})$/i;

function commaList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function readHttpUrl(text: string, mayHaveQuery = false): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url &&
    /^https?:$/.test(url.protocol) &&
    !url.username &&
    !url.password &&
    (mayHaveQuery || !url.search) &&
    !url.hash;
  return plain ? url : undefined;
}
