import { expect, test } from 'vitest';
import {
  armLoss,
  contrastiveScores,
  cumulative,
  decaying,
  dpo,
  lengthMean,
  sigmoid,
  stepRewards,
  sum,
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

test('DPO: rewards, margin, loss and preference of a pair', () => {
  const { input, expected } = vectorCase<Record<string, number>, object>(FILE, 'dpo_pair');
  const pair = {
    policyW: input['policy_w']!,
    policyL: input['policy_l']!,
    referenceW: input['ref_w']!,
    referenceL: input['ref_l']!,
  };
  const { rewardW, rewardL, margin, loss, probability } = dpo(pair, input['beta']!);
  near({ reward_w: rewardW, reward_l: rewardL, margin, loss, pref_prob: probability }, expected);
});

test.each(['arm_bt_loss_beta_0.05', 'arm_bt_loss_beta_0.01'])(
  'the loss of an autoregressive reward model and its gradient: %s',
  (name) => {
    const { input, expected } = vectorCase<Record<string, number>, object>(FILE, name);
    const [chosen, rejected] = [input['sum_logp_chosen']!, input['sum_logp_rejected']!];
    const beta = input['beta_r']!;
    const { margin, loss, gradient } = armLoss(chosen, rejected, beta);
    near({ margin, loss, dloss_dlogp_chosen: gradient, dloss_dlogp_rejected: -gradient }, expected);
    const h = 1e-4;
    const slope =
      (armLoss(chosen + h, rejected, beta).loss - armLoss(chosen - h, rejected, beta).loss) / 2 / h;
    expect(gradient).toBeCloseTo(slope, 8);
  },
);

test('contrastive scores keep only what the expert finds plausible', () => {
  const { input, expected } = vectorCase<
    {
      expert_logits: number[];
      amateur_logits: number[];
      alpha_plausibility: number;
      amateur_weight: number;
      amateur_temperature: number;
    },
    object
  >(FILE, 'contrastive_decoding');
  const scores = contrastiveScores(input.expert_logits, input.amateur_logits, {
    plausibility: input.alpha_plausibility,
    amateurWeight: input.amateur_weight,
    amateurTemperature: input.amateur_temperature,
  });
  near({ scores, argmax: scores.indexOf(Math.max(...scores)) }, expected);
});

test('losses of hopeless and of perfect pairs stay finite', () => {
  expect(armLoss(-1e6, 0, 1).loss).toBe(1e6);
  expect(armLoss(0, -1e6, 1).loss).toBe(0);
  expect(armLoss(-1e6, 0, 1).gradient).toBe(-1);
  expect(sigmoid(-1e6)).toBe(0);
});
