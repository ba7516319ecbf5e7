import base from '../../jest.config.js';

/**
 * The checks of the chart and of its alerts, apart from `npm test`: they need helm and promtool, which a machine with
 * Node alone cannot be sure to have. `npm run check` calls them, with HELM set to what `scripts/helm` prints.
 */
export default { ...base, rootDir: '../..', testMatch: ['<rootDir>/test/{chart,alerts}/*.check.ts'] };
