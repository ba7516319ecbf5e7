import { type KeptToken, type TokenBox, type TokenOutcome, TokenVault } from './token.vault.js';

/** Keeps tokens for this process, which always has its turn. */
export class MemoryTokenVault extends TokenVault {
  open(): TokenBox {
    let kept: KeptToken = {};
    return {
      look: () => Promise.resolve(kept),
      settle: async (_known, ask): Promise<TokenOutcome> => {
        const outcome = await ask({
          kept,
          formerEndedAtMs: undefined,
          isHeld: true,
          confirm: () => Promise.resolve(true),
        });
        if (outcome.kind === 'issued') kept = { pair: outcome.pair };
        else if (outcome.kind === 'refused') kept = { ...kept, refusal: outcome.refusal };
        return outcome;
      },
      close: () => undefined,
    };
  }
}
