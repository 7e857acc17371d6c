/** What a reward is worth once length and repetition are paid for (METHODS.md 3): learned rewards like long answers for their length alone. */

import type { LengthRule, Reward } from '../core/reward.ts';
import type { Token } from '../core/tree.ts';

/** The rule on top of another reward; lengths in the policy's tokens. */
export function lengthRuled(reward: Reward, rule: LengthRule): Reward {
  return {
    name: reward.name,
    reads: reward.reads,
    async score(batch) {
      const scores = await reward.score(batch);
      return scores.map((score, i) => {
        const { tokens } = batch[i]!;
        const repeated = rule.repetition === 0 ? 0 : rule.repetition * repetition(tokens);
        return { ...score, value: priced(score.value, tokens.length, rule) - repeated };
      });
    },
  };
}

export function priced(
  value: number,
  length: number,
  { mode, lambda, target }: Omit<LengthRule, 'repetition'>,
): number {
  switch (mode) {
    case 'linear':
      return value - lambda * length;
    case 'over':
      return value - lambda * Math.max(0, length - target);
    case 'ratio':
      return value * Math.min(1, length / target);
    default:
      return mode satisfies never;
  }
}

/** The share of trigrams that occurred before; 0 of fewer than two. */
export function repetition(tokens: readonly Token[]): number {
  const all = tokens.length - 2;
  if (all < 2) return 0;
  const seen = new Set<string>();
  for (let i = 0; i < all; i++) seen.add(`${tokens[i]},${tokens[i + 1]},${tokens[i + 2]}`);
  return 1 - seen.size / all;
}
