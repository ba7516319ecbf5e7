import base from '../../jest.config.js';

/** What the image is and does, apart from `npm test`: `scripts/image` builds it first, and needs root and a Linux. */
export default { ...base, rootDir: '../..', testMatch: ['<rootDir>/test/image/*.check.ts'] };
