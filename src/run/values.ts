/** Value guides: what rewards make of an answer with each of its likeliest next tokens bends the law it is drawn from. */

import type { Added, Bend } from '../core/guide.ts';
import { sum } from '../core/math.ts';
import type { Reward, RewardPlan } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';
import type { PlanPrompt, ValueUse } from '../plan/plan.ts';
import type { Running } from './run.ts';
import { candidateOf, judged } from './scores.ts';

interface ValueContext extends Pick<Running, 'signal' | 'onBug'> {
  readonly rewardOf: (plan: RewardPlan) => Reward;
}

interface Use extends ValueUse {
  readonly judge: Reward;
}

export class Values {
  readonly #context: ValueContext;
  readonly #prompt: PlanPrompt;
  /** Null where there is no value guide. */
  readonly bend: Bend | null;
  /** Tokens that the value guides' models have read. */
  tokens = 0;

  constructor(uses: readonly ValueUse[], context: ValueContext, prompt: PlanPrompt) {
    [this.#context, this.#prompt] = [context, prompt];
    const all = uses.map((use) => ({ ...use, judge: context.rewardOf(use.reward) }));
    this.bend = all.length === 0 ? null : this.#bendOf(all);
  }

  #bendOf(uses: readonly Use[]): Bend {
    return {
      k: Math.min(...uses.map(({ topK }) => topK)),
      applies: (entropy) => uses.some((use) => guides(use, entropy)),
      add: async (continuations, entropy) => {
        const rows = await Promise.all(
          uses.map(async (use) =>
            guides(use, entropy) ? await this.#ask(use, continuations) : null,
          ),
        );
        return continuations.map((_, i): Added => {
          const said = rows.map((row) => row?.[i] ?? null);
          return {
            value: sum(uses.map(({ weight }, u) => weight * (said[u] ?? 0))),
            guides: said.map((value) => value ?? 0),
          };
        });
      },
    };
  }

  async #ask({ judge }: Use, continuations: readonly Branch[]): Promise<readonly number[]> {
    const batch = continuations.map((branch) => candidateOf(branch, this.#prompt));
    const scores = await judged(judge, batch, this.#context);
    for (const { tokens } of scores) this.tokens += tokens ?? 0;
    return scores.map(({ value }) => (Number.isFinite(value) ? value : NaN));
  }
}

const guides = ({ entropyAbove }: ValueUse, entropy: number): boolean =>
  entropyAbove === null || entropy > entropyAbove;
