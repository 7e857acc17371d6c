/** Strategies that compare scores of different calls, and rewards whose scores depend on who is judged together. */

import { expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { catalog } from '../../fakes/catalog.ts';

const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };

/** The refusal; null: it was accepted. */
function refusal(alignment: object): ServeError | null {
  try {
    parser.completion({ prompt: 'ab', max_tokens: 5, alignment }, ambient);
    return null;
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
}

const happy = { model: 'rm-happy-a' };
const RELATIVE = [
  { rewards: [{ ...happy, transform: { type: 'zscore' } }] },
  { rewards: [happy, { ...happy, id: 'other', transform: { type: 'rank' } }] },
  { rewards: [{ ...happy, transform: { type: 'win_rate' } }] },
  { rewards: [{ ...happy, transform: { type: 'log_sigmoid' } }] },
  { rewards: [happy, { ...happy, id: 'other' }], ensemble: { normalize: 'pool' } },
  { rewards: [happy], constraints: [{ reward: 'rm-happy-a', min: 0 }] },
  { rewards: [happy], constraints: [{ reward: 'rm-happy-a', cap: 1 }], lagrange: {} },
];
const ABSOLUTE = [
  { rewards: [happy] },
  { rewards: [{ ...happy, transform: { type: 'zscore', of: 'stored' } }] },
  { rewards: [{ ...happy, transform: { type: 'log_sigmoid', reference: 1 } }] },
  {
    rewards: [happy, { ...happy, id: 'other' }],
    ensemble: { aggregate: 'min', normalize: 'none' },
  },
  { rewards: [happy], constraints: [{ reward: 'rm-happy-a', cap: 1 }] },
];
const ACROSS = [
  { type: 'segment_rejection', target: 1 },
  { type: 'mcts' },
  { type: 'particles', n: 2 },
  { type: 'beam', width: 2, reward_weight: 1 },
  { type: 'best_of_n', n: 4, adaptive: { threshold: 1 } },
  { type: 'best_of_n', n: 4, adaptive: { cost: 0.1 } },
  { type: 'best_of_n', n: 4, prune: { type: 'value', threshold: 0, min_tokens: 2 } },
  { type: 'vote', n: 2, by: 'weighted', filter: { threshold: 0, at: 2 } },
];
const WITHIN = [
  { type: 'best_of_n', n: 4 },
  { type: 'best_of_n', n: 4, prune: { type: 'speculative_rejection', at: [2] } },
  { type: 'segment_beam', width: 2, expand: 2 },
  { type: 'args', top_k: 3 },
  { type: 'vote', n: 2, by: 'weighted' },
];

test.each(ACROSS)(
  '%j is refused beside scores that are relative to a pool, both named',
  (strategy) => {
    for (const rewards of RELATIVE) {
      const error = refusal({ strategy, ...rewards });
      expect(error, JSON.stringify(rewards)).toMatchObject({
        code: 'reward_mismatch',
        status: 400,
      });
      expect(error!.message).toContain(`${strategy.type} compares scores`);
      expect(error!.param).toMatch(/^alignment\.(rewards\[[01]\]|constraints|lagrange)/);
    }
    for (const rewards of ABSOLUTE) expect(refusal({ strategy, ...rewards })).toBeNull();
  },
);

test.each(WITHIN)('%j takes them: it compares within a call', (strategy) => {
  for (const rewards of [...RELATIVE, ...ABSOLUTE])
    expect(refusal({ strategy, ...rewards })).toBeNull();
});

test('the refusal names the reward and what it is', () => {
  const error = refusal({
    strategy: { type: 'mcts' },
    rewards: [{ ...happy, transform: { type: 'win_rate' } }],
  });
  expect(error!.message).toContain('rm-happy-a is how often it beats the others');
  expect(error!.param).toBe('alignment.rewards[0].model');
});
