/** Nest 12 is ESM only, so jest runs in its ESM mode: see docs/decisions/0001-nest-12-esm-jest.md. */
export default {
  rootDir: '.',
  testEnvironment: 'node',
  // Ends what hangs, and nothing else: a busy machine may take five times as long as an idle one.
  testTimeout: 120_000,
  // Most of the time is spent waiting: half a minute of a quota's window, the end of a process.
  maxWorkers: '100%',
  reporters: ['default', '<rootDir>/test/support/plain-summary.reporter.js'],
  testMatch: ['<rootDir>/src/**/*.spec.ts', '<rootDir>/test/**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2023',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
          keepClassNames: true,
        },
        module: { type: 'es6' },
      },
    ],
  },
};
