import { type AnswerWire } from './answer-wire.js';
import { type Answer } from './answers.js';
import { type RecordedCall } from './call.js';
import { type SandboxSettings } from './sandbox-options.js';
import { type Scenario } from './scenario.js';
import { type AnswerScenario, scriptedAnswer, type WireScenario } from './scripted-answer.js';

/** All that a scenario may use while it plays. */
export interface Stage {
  readonly call: RecordedCall;
  readonly settings: SandboxSettings;
  readonly wire: AnswerWire;
  /** Tells the truth, and runs the write. */
  readonly run: () => Answer;
  readonly waitMs: (ms: number) => Promise<void>;
  readonly released: () => Promise<void>;
}

/** Plays a scenario to its end, or the truth when there is none. */
export async function perform(scenario: Scenario | undefined, stage: Stage): Promise<void> {
  const { wire, run } = stage;
  if (scenario === undefined) wire.send(run());
  else if (needsWire(scenario)) await performOnWire(scenario, stage);
  else wire.send(scriptedAnswer(scenario, stage.call, stage.settings, run));
}

async function performOnWire(scenario: WireScenario, stage: Stage): Promise<void> {
  const { wire, run } = stage;
  switch (scenario.kind) {
    case 'lost':
      run();
      wire.drop(scenario.reset);
      return;
    case 'dropped':
      wire.drop(scenario.reset);
      return;
    case 'truncated':
      wire.sendTruncated(run());
      return;
    case 'stalled':
      await wire.sendInTwo(run(), stage.released());
      return;
    case 'slow': {
      const answer = run();
      await stage.waitMs(scenario.ms);
      wire.send(answer);
      return;
    }
    case 'hold':
      await stage.released();
      wire.send(run());
      return;
    case 'hang': {
      const answer = run();
      await stage.released();
      wire.send(answer);
      return;
    }
    case 'too-large':
      await wire.sendPadded(run(), scenario.bytes);
      return;
    case 'close-after-answer':
      wire.sendThenClose(run());
      return;
    case 'garbage':
      run();
      wire.sendGarbage();
      return;
  }
}

const ON_WIRE: Readonly<Record<WireScenario['kind'], true>> = {
  lost: true,
  dropped: true,
  truncated: true,
  stalled: true,
  slow: true,
  hold: true,
  hang: true,
  'too-large': true,
  'close-after-answer': true,
  garbage: true,
};

function needsWire(scenario: WireScenario | AnswerScenario): scenario is WireScenario {
  return Object.hasOwn(ON_WIRE, scenario.kind);
}
