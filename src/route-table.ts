import type { FastifyInstance } from 'fastify';
import { pathOf } from './observability/request-path.js';
import { Problem } from './problem-details/problem.js';

/** The routes that are served: knows whether a path that has no such method has others. */
export class RouteTable {
  readonly #methods = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  constructor(server: FastifyInstance) {
    server.addHook('onRoute', ({ url, method }) => {
      // Not a route of ours: where preflights are answered, for whatever path.
      if (url === '*') return;
      const pattern = new RegExp(`^${url.replace(/:[^/]+/g, '[^/]+').replace(/\*$/, '.*')}$`);
      const route = this.#methods.get(url) ?? { pattern, methods: new Set<string>() };
      for (const name of [method].flat()) route.methods.add(name);
      this.#methods.set(url, route);
    });
  }

  /** Not found, or not with this method: then with `Allow` (RFC 9110 section 15.5.6). */
  refusal(url: string): Problem {
    const path = pathOf(url);
    const allowed = [...this.#methods.values()].find(({ pattern }) => pattern.test(path));
    if (allowed === undefined)
      return new Problem('not-found', { detail: 'Nothing is served under this path.' });
    const allow = [...allowed.methods].sort().join(', ');
    return new Problem('method-not-allowed', {
      detail: `This path is served with ${allow}.`,
      headers: { allow },
    });
  }
}
