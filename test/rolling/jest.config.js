import base from '../../jest.config.js';

/** Restarts behind a proxy, apart from `npm test`: they need an nginx on the PATH, and the built service. */
export default { ...base, rootDir: '../..', testMatch: ['<rootDir>/test/rolling/*.check.ts'] };
