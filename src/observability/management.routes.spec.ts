import { describe, expect, it } from '@jest/globals';
import { json, ManagementRoutes } from './management.routes.js';

describe('the routes of the management port', () => {
  const routes = new ManagementRoutes();
  routes.add('GET', '/ops/things', () => json(200, {}));
  routes.add('POST', '/ops/things', () => json(200, {}));
  routes.add('POST', '/ops/things/{id}/resolve', () => json(200, {}));

  it('are found by the whole path, with what stands in it', () => {
    expect(routes.find('/ops/things/7/resolve')?.parameters).toEqual({ id: '7' });
    expect([...(routes.find('/ops/things')?.handlers.keys() ?? [])]).toEqual(['GET', 'POST']);
  });

  it.each([
    '/ops',
    '/ops/things/',
    '/ops/things/7',
    '/ops/things//resolve',
    '/ops/things/7/resolve/',
    '/__proto__',
  ])('are not found by %s', (path) => {
    expect(routes.find(path)).toBeUndefined();
  });
});
