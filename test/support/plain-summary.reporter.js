/** Ends the run with one plain line that any reader of a log understands: `Tests: 12 passed, 0 failed`. */
export default class PlainSummary {
  onRunComplete(_, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    console.log(`Tests: ${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed`);
  }
}
