import { readFileSync } from 'node:fs';

/** What transactions do, by a statement that tells; shared with the replica. */
const STEPS = Object.keys(
  JSON.parse(readFileSync('test/drill/steps.json', 'utf8')) as Record<string, unknown>,
);
const CALLS = ['write', 'token call'];

/** Every point at which a replica can end or freeze itself: at each step that it writes down, and around each call. */
export const POINTS: readonly string[] = [
  ...STEPS.flatMap((step) => [`before ${step} is written`, `after ${step} is written`]),
  ...CALLS.flatMap((call) => [
    `before the ${call} is sent`,
    `with the ${call} under way`,
    `after the answer to the ${call}`,
  ]),
];
