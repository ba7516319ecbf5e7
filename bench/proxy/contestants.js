import { nginxProxy } from './contestants/nginx.js';
import { script } from './contestants/script.js';
import { thisService } from './contestants/this-service.js';
import { MAPPED, PASSED_ON, UPSTREAM_PATH, UPSTREAM_TOKEN } from './setting.js';

/**
 * @typedef {object} Contestant
 * @property {number} number for `--only`
 * @property {string} name
 * @property {string} about
 * @property {(upstreamUrl: string) => Promise<Running | undefined>} start `undefined` where this version cannot do it
 *
 * @typedef {object} Running
 * @property {import('./load.js').Target} target
 * @property {import('./child.js').Child} [child]
 * @property {() => Promise<void>} stop
 */

export const direct = {
  number: 1,
  name: 'the upstream directly',
  about: 'Nothing in between: what the load and the upstream can do.',
  start: async (upstreamUrl) => ({
    target: {
      url: upstreamUrl + UPSTREAM_PATH,
      authorizations: [`Bearer ${UPSTREAM_TOKEN}`],
      expect: PASSED_ON,
    },
    stop: async () => undefined,
  }),
};

export const nodeHttp = {
  number: 3,
  name: 'node:http + undici Pool',
  about:
    'Reads JSON, maps it, sends it with the token, maps the answer, and nothing else: the limit on Node.js.',
  start: script('node-http.child.js', MAPPED),
};

export const replyFrom = {
  number: 4,
  name: 'Fastify + @fastify/reply-from',
  about: 'Passes body and answer on with the token; no validation, no mapping, no log.',
  start: script('reply-from.child.js', PASSED_ON),
};

export const nestExpress = {
  number: 5,
  name: 'Nest on Express + HttpService',
  about:
    'What is often shipped: `ValidationPipe` with `whitelist` and `transform`, `HttpService` with its defaults, mapping; no authentication, no log.',
  start: script('nest-express.child.js', MAPPED),
};

export const service = {
  number: 6,
  name: 'nexudus-bff',
  about:
    'This service as in production: API keys of 16 callers, validation, mapping, five quota windows (the default ones with limits that are never reached), metrics, a log line for each request, to a pipe.',
  start: (upstreamUrl) => thisService({ upstreamUrl }),
};

export const serviceWithKeys = {
  number: 7,
  name: 'nexudus-bff, with Idempotency-Key',
  about: 'The same with a new `Idempotency-Key` for each request.',
  start: async (upstreamUrl) => {
    const running = await thisService({ upstreamUrl });
    return { ...running, target: { ...running.target, idempotencyKey: 'bench', keysAreNew: true } };
  },
};

export const serviceWithJwt = {
  number: 8,
  name: 'nexudus-bff, with JWT',
  about:
    'The same with the JWTs (ES256) of 16 callers in place of keys, checked with the key set of an issuer.',
  start: (upstreamUrl) => thisService({ upstreamUrl, withJwt: true }),
};

/** @type {readonly Contestant[]} */
export const CONTESTANTS = [
  direct,
  {
    number: 2,
    name: 'nginx proxy_pass',
    about: 'Keep-alive to the upstream and the token header; one worker, no log.',
    start: nginxProxy,
  },
  nodeHttp,
  replyFrom,
  nestExpress,
  service,
  serviceWithKeys,
  serviceWithJwt,
];
