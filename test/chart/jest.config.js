import base from '../../jest.config.js';

/**
 * The chart's checks, apart from `npm test`: they need helm, which a machine with Node alone cannot be sure to have.
 * `npm run check` calls them, with HELM set to what `scripts/helm` prints.
 */
export default { ...base, rootDir: '../..', testMatch: ['<rootDir>/test/chart/*.check.ts'] };
