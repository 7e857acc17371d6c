import { expect, test } from 'vitest';
import { logSigmoid, sigmoid, sum } from '../../../src/core/math.ts';
import {
  cumulative,
  decaying,
  lengthMean,
  stepRewards,
  tokenRewards,
} from '../../../src/rewards/implicit.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const FILE = 'implicit_reward.json';
const { tolerance } = vectors(FILE);

/** Same keys, and every number (in lists too) within the file's tolerance. */
function near(actual: Readonly<Record<string, unknown>>, expected: object): void {
  for (const [key, value] of Object.entries(expected)) {
    const [got, want] = [[actual[key]].flat(), [value].flat()] as number[][];
    expect(got, key).toHaveLength(want!.length);
    want!.forEach((x, i) =>
      expect(got![i] === x || Math.abs(got![i]! - x) <= tolerance, `${key}: ${got![i]} ${x}`).toBe(
        true,
      ),
    );
  }
}

test('token, prefix, step and sequence rewards of a log-ratio', () => {
  const { input, expected } = vectorCase<
    { logp_plus: number[]; logp_minus: number[]; beta: number; step_end_index: number[] },
    object
  >(FILE, 'token_seq_step_rewards');
  const token = tokenRewards(input.logp_plus, input.logp_minus, input.beta);
  const steps = stepRewards(token, input.step_end_index);
  const prefix = cumulative(token);
  near(
    {
      token,
      cumulative: prefix,
      sequence_sum: sum(token),
      length_mean: lengthMean(token),
      step_single: steps,
      step_cumulative: input.step_end_index.map((end) => prefix[end]),
      min_single: Math.min(...steps),
      sum_single: sum(steps),
      sigmoid_of_sum: sigmoid(sum(token)),
      treebon_weighted_1_over_k: decaying(tokenRewards(input.logp_plus, input.logp_minus, 1)),
    },
    expected,
  );
});

/** Of the better (w) and the worse (l) answer, as wholes: what a preference between them comes to. */
const preference = (rewardW: number, rewardL: number) => {
  const margin = rewardW - rewardL;
  return { margin, loss: -logSigmoid(margin), pref_prob: sigmoid(margin) };
};

test('DPO: the reward of an answer is the log-ratio of its sums', () => {
  const { input, expected } = vectorCase<Record<string, number>, object>(FILE, 'dpo_pair');
  const [w, l] = tokenRewards(
    [input['policy_w']!, input['policy_l']!],
    [input['ref_w']!, input['ref_l']!],
    input['beta']!,
  );
  near({ reward_w: w, reward_l: l, ...preference(w!, l!) }, expected);
});

test.each(['arm_bt_loss_beta_0.05', 'arm_bt_loss_beta_0.01'])(
  'what an autoregressive reward model was trained by: %s',
  (name) => {
    const { input, expected } = vectorCase<Record<string, number>, object>(FILE, name);
    const beta = input['beta_r']!;
    const [chosen, rejected] = tokenRewards(
      [input['sum_logp_chosen']!, input['sum_logp_rejected']!],
      [0, 0], // no reference model
      beta,
    );
    const { margin, loss } = preference(chosen!, rejected!);
    const gradient = -beta * sigmoid(-margin);
    near({ margin, loss, dloss_dlogp_chosen: gradient, dloss_dlogp_rejected: -gradient }, expected);
  },
);
