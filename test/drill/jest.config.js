import base from '../../jest.config.js';

/** Replicas that are killed and frozen, apart from `npm test`: it takes about a minute, and the built service. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/drill/*.check.ts'],
  // What dies in the middle of an exchange leaves its other end open here.
  forceExit: true,
};
