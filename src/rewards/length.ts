/** Length and repetition (METHODS.md 3): learned rewards like long answers for their length alone. A price on another reward, or terms of their own. */

import type { Candidate, LengthRule, Reward, RewardSource } from '../core/reward.ts';
import type { Token } from '../core/tree.ts';

type Of<K> = Extract<RewardSource, { kind: K }>;

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

/** What length alone is worth: -tokens, -max(0, tokens - target), or min(1, tokens / target). */
export const lengthReward = ({ mode, target }: Of<'length'>): Reward =>
  counted('length', ({ tokens }) => lengthTerm(tokens.length, mode, target));

/** The share of trigrams that occurred before: a term for a negative weight. */
export const repetitionReward = (): Reward =>
  counted('repetition', ({ tokens }) => repetition(tokens));

const counted = (name: string, value: (candidate: Candidate) => number): Reward => ({
  name,
  reads: 'prefix',
  score: (batch) =>
    Promise.resolve(batch.map((candidate) => ({ value: value(candidate), parts: {} }))),
});

function lengthTerm(length: number, mode: LengthRule['mode'], target: number): number {
  switch (mode) {
    case 'linear':
      return -length;
    case 'over':
      return Math.min(0, target - length);
    case 'ratio':
      return Math.min(1, length / target);
    default:
      return mode satisfies never;
  }
}

export function priced(
  value: number,
  length: number,
  { mode, lambda, target }: Omit<LengthRule, 'repetition'>,
): number {
  const term = lengthTerm(length, mode, target);
  return mode === 'ratio' ? value * term : value + lambda * term;
}

/** The share of trigrams that occurred before; 0 of fewer than two. */
export function repetition(tokens: readonly Token[]): number {
  const all = tokens.length - 2;
  if (all < 2) return 0;
  const seen = new Set<string>();
  for (let i = 0; i < all; i++) seen.add(`${tokens[i]},${tokens[i + 1]},${tokens[i + 2]}`);
  return 1 - seen.size / all;
}
