/**
 * The ledger of test/vectors: which test runs each case, through which files, and which cases nothing serves, by name.
 * docs/vectors.md says the same to readers. A case that is new, renamed or no longer run fails here.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { vectors } from '../fakes/vectors.ts';

/** Cases of one file that one test runs. */
interface Run {
  readonly cases: RegExp;
  /** Under test/unit. */
  readonly test: string;
  /** How the test asks for them, as it stands there. */
  readonly asks: string;
  /** Under src: what passes them. What measures the evidence, and no server, is under ../test/evaluate. */
  readonly by: readonly string[];
}

const run = (cases: RegExp, file: string, asks: string, ...by: readonly string[]): Run => ({
  cases,
  test: file,
  asks,
  by,
});

const RATIO = ['rewards/implicit.ts', 'rewards/ratio.ts'] as const;
const SURVIVING = 'strategies/prune/speculative_rejection.ts';

const LEDGER: Readonly<Record<string, readonly Run[]>> = {
  'beam_search.json': [
    run(
      /^(beam_k|discriminating)/,
      'strategies/beam.test.ts',
      '/^(beam_k|discriminating)/',
      'strategies/beam.ts',
      'strategies/beam_rank.ts',
    ),
    run(
      /^exhaustive/,
      'strategies/beam.test.ts',
      'exhaustive_top5_length_penalty_',
      'strategies/beam_rank.ts',
    ),
    run(
      /^reward_guided_beam/,
      'strategies/beam.test.ts',
      'reward_guided_beam_k',
      'strategies/beam.ts',
    ),
    run(/^diverse_beam/, 'strategies/beam.test.ts', "'diverse_beam'", 'strategies/beam_rank.ts'),
    run(/^length_basis$/, 'strategies/beam.test.ts', "'length_basis'", 'strategies/beam_rank.ts'),
    run(
      /^chunk_level_selection/,
      'strategies/segment_beam.test.ts',
      "'chunk_level_selection'",
      'strategies/segment_beam.ts',
      'strategies/select.ts',
    ),
  ],
  'best_of_n.json': [
    run(
      /^n\d+$/,
      'strategies/best_of_n.test.ts',
      '/^n\\d+$/',
      'strategies/select.ts',
      'strategies/gain.ts',
    ),
    run(
      /^soft_bon/,
      'strategies/best_of_n.test.ts',
      "'soft_bon'",
      'core/math.ts',
      'strategies/best_of_n.ts',
    ),
    run(
      /^unbiased_estimator/,
      'strategies/best_of_n.test.ts',
      "'unbiased_estimator'",
      'strategies/gain.ts',
    ),
    run(/^pass_at_k$/, 'strategies/best_of_n.test.ts', "'pass_at_k'", 'strategies/gain.ts'),
  ],
  'ensemble.json': [
    run(
      /^three_members/,
      'rewards/ensemble.test.ts',
      "'three_members'",
      'rewards/ensemble.ts',
      'rewards/transforms.ts',
    ),
    run(/^single_member/, 'rewards/ensemble.test.ts', "'single_member'", 'rewards/ensemble.ts'),
  ],
  'genarm_combine.json': [
    run(
      /./,
      'runtime/tail.test.ts',
      "'genarm_combine.json').cases",
      'guides/lane_weights.ts',
      'runtime/tail.ts',
      'engine/sampler.ts',
    ),
  ],
  'implicit_reward.json': [
    run(/^token_seq/, 'rewards/language_model.test.ts', "'token_seq_step_rewards'", ...RATIO),
    run(
      /^dpo_pair$/,
      'rewards/implicit.test.ts',
      "'dpo_pair'",
      'rewards/implicit.ts',
      'core/math.ts',
    ),
    run(
      /^arm_bt_loss/,
      'rewards/implicit.test.ts',
      "'arm_bt_loss_beta_",
      'rewards/implicit.ts',
      'core/math.ts',
    ),
    run(/^dexperts/, 'runtime/tail.test.ts', "'dexperts'", 'runtime/tail.ts'),
    run(
      /^contrastive_decoding/,
      'runtime/tail.test.ts',
      "'contrastive_decoding'",
      'runtime/tail.ts',
      'engine/sampler.ts',
    ),
    run(/^identity/, 'runtime/tail.test.ts', "'identity'", 'runtime/tail.ts'),
  ],
  'mcts.json': [
    run(
      /^backprop_value$/,
      'strategies/mcts.test.ts',
      "'backprop_value'",
      'strategies/mcts_node.ts',
    ),
    run(/^rollout_mix$/, 'strategies/mcts.test.ts', "'rollout_mix'", 'strategies/mcts_node.ts'),
    run(
      /^value_targets$/,
      'strategies/mcts_told.test.ts',
      "'value_targets'",
      'strategies/mcts_told.ts',
    ),
  ],
  'pairwise_judge.json': [
    run(
      /^cyclic_preference$/,
      'rewards/pairwise.test.ts',
      "'cyclic_preference'",
      'rewards/tournament.ts',
    ),
    run(
      /^bradley_terry_matrix$/,
      'rewards/pairwise.test.ts',
      "'bradley_terry_matrix'",
      'rewards/tournament.ts',
      'rewards/transforms.ts',
    ),
    run(
      /^position_debias$/,
      'rewards/pairwise.test.ts',
      "'position_debias'",
      'rewards/pairwise.ts',
    ),
    run(/^yes_no_score$/, 'rewards/language_model.test.ts', "'yes_no_score'", 'rewards/judge.ts'),
    run(
      /^follow_up_likelihood$/,
      'rewards/language_model.test.ts',
      "'follow_up_likelihood'",
      'rewards/follow_up.ts',
    ),
  ],
  'personal_multi.json': [
    run(
      /^pal_distance/,
      'rewards/ideal.test.ts',
      "'pal_distance'",
      'plan/rewards.ts',
      'rewards/ideal.ts',
    ),
    run(
      /^pal_pair_prob$/,
      'rewards/ideal.test.ts',
      "'pal_pair_prob'",
      'rewards/ideal.ts',
      'rewards/tournament.ts',
    ),
    run(
      /^mean_inner_product$/,
      'evaluate/preference.test.ts',
      "'mean_inner_product'",
      '../test/evaluate/preference.ts',
    ),
    run(
      /^fine_grained_total$/,
      'rewards/steps.test.ts',
      "'fine_grained_total'",
      'rewards/steps.ts',
      'rewards/transforms.ts',
    ),
    run(
      /^vpl_reward_head/,
      'rewards/latent_head.test.ts',
      "'vpl_reward_head'",
      'rewards/latent_head.ts',
    ),
    run(
      /^entropy_weighted_steering/,
      'steering/mean.test.ts',
      "'entropy_weighted_steering'",
      'steering/mean.ts',
    ),
  ],
  'pruning.json': [
    run(/^keep_alpha/, 'strategies/best_of_n.test.ts', "'keep_alpha'", SURVIVING),
    run(/^round_half_even_trap$/, 'strategies/best_of_n.test.ts', "'round_half_even'", SURVIVING),
    run(
      /^mid_generation_prune_half$/,
      'strategies/best_of_n.test.ts',
      "'mid_generation'",
      SURVIVING,
      'strategies/best_of_n.ts',
    ),
    run(/^paper_quantile_form/, 'strategies/prune.test.ts', "'paper_quantile'", 'core/math.ts'),
    run(
      /^temperature_schedules$/,
      'strategies/prune.test.ts',
      "'temperature_schedules'",
      'strategies/adaptive.ts',
    ),
    run(
      /^expected_samples/,
      'strategies/prune.test.ts',
      "'expected_samples'",
      'strategies/adaptive.ts',
    ),
    run(/^deepconf/, 'strategies/prune.test.ts', "'deepconf'", 'strategies/prune/confidence.ts'),
    run(
      /^st_bon_/,
      'strategies/self_truncation.test.ts',
      "'st_bon_",
      'strategies/prune/self_truncation.ts',
    ),
  ],
  'sampler.json': [
    run(/^philox/, 'core/philox.test.ts', "'philox'", 'core/philox.ts'),
    run(/^inverse_cdf$/, 'engine/sampler.test.ts', "'inverse_cdf'", 'engine/sampler.ts'),
  ],
  'smc.json': [
    run(/^potentials_/, 'strategies/particles.test.ts', 'potentials_', 'strategies/potentials.ts'),
    run(/^ess$/, 'strategies/particles.test.ts', "'ess'", 'strategies/resample.ts'),
    run(
      /^resampling_schemes$/,
      'strategies/particles.test.ts',
      "'resampling_schemes'",
      'strategies/resample.ts',
    ),
    run(
      /^carry_weights/,
      'strategies/particles.test.ts',
      "'carry_weights'",
      'strategies/resample.ts',
      'core/math.ts',
    ),
    run(
      /^genarm_proposal_weights/,
      'strategies/particles.test.ts',
      "'genarm_proposal_weights'",
      'strategies/particles.ts',
    ),
  ],
  'token_guidance.json': [
    run(/^args_top3$/, 'strategies/args.test.ts', "'args_top3'", 'strategies/args.ts'),
    run(
      /^cards_segment_end$/,
      'strategies/segment_rejection.test.ts',
      "'cards_segment_end'",
      'engine/job.ts',
    ),
    run(
      /^(controlled_decoding_token|fudge_log_prob_values)$/,
      'engine/bending.test.ts',
      "'controlled_decoding_token', 'fudge_log_prob_values'",
      'engine/bending.ts',
    ),
    run(
      /^blockwise_best_of_K$/,
      'strategies/segment_beam.test.ts',
      "'blockwise_best_of_K'",
      'strategies/select.ts',
    ),
  ],
  'transforms.json': [
    run(/^lsc_sum/, 'rewards/transforms.test.ts', "'lsc_sum'", 'rewards/transforms.ts'),
    run(
      /^reference_quantile/,
      'rewards/transforms.test.ts',
      "'reference_quantile'",
      'rewards/transforms.ts',
      'core/math.ts',
    ),
    run(
      /^length_regularised$/,
      'rewards/transforms.test.ts',
      "'length_regularised'",
      'rewards/length.ts',
    ),
    run(
      /^cap_at_threshold/,
      'rewards/transforms.test.ts',
      "'cap_at'",
      'rewards/constraints.ts',
      'rewards/lagrange.ts',
    ),
  ],
  'voting.json': [
    run(/^vote$/, 'strategies/vote.test.ts', "'vote'", 'strategies/tally.ts'),
    run(
      /^goal_filter_token_saving$/,
      'strategies/vote.test.ts',
      "'goal_filter_token_saving'",
      'strategies/vote.ts',
    ),
  ],
};

/** What no request can ask for, by the beginning of its name; docs/vectors.md says why. */
const GAPS: Readonly<Record<string, readonly string[]>> = {};

const here = (...path: readonly string[]): string => join(import.meta.dirname, ...path);
const files = readdirSync(here('../vectors')).filter((file) => file.endsWith('.json'));
const namesOf = (file: string): string[] => vectors(file).cases.map(({ name }) => name);
const isGap = (file: string, name: string): boolean =>
  (GAPS[file] ?? []).some((gap) => name.startsWith(gap));

/** Files that these import, directly or not; paths from src. */
function reached(from: readonly string[]): ReadonlySet<string> {
  const root = here('../../src');
  const seen = new Set<string>();
  const open = [...from];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const source = readFileSync(join(root, file), 'utf8');
    for (const [, path] of source.matchAll(
      /^(?:import|export) (?!type )[^;]*?from '(\.[^']+)';/gms,
    ))
      open.push(relative(root, join(root, dirname(file), path!)));
  }
  return seen;
}

test('the ledger has every file, and no other', () => {
  expect(Object.keys(LEDGER).toSorted()).toEqual(files.toSorted());
});

describe.each(files)('%s', (file) => {
  test.each(namesOf(file))('%s is run by one entry, or is a named gap', (name) => {
    const by = LEDGER[file]!.filter(({ cases }) => cases.test(name));
    expect(by).toHaveLength(isGap(file, name) ? 0 : 1);
  });

  test('each entry and each gap has cases', () => {
    const names = namesOf(file);
    for (const { cases } of LEDGER[file]!)
      expect(names.some((name) => cases.test(name))).toBe(true);
    for (const gap of GAPS[file] ?? [])
      expect(names.filter((name) => name.startsWith(gap))).toHaveLength(1);
  });

  test.each(LEDGER[file]!)(
    '$test asks for $asks, and reaches what passes it',
    ({ test: path, asks, by }) => {
      const source = readFileSync(here(path), 'utf8');
      expect(source).toContain(`'${file}'`);
      expect(source).toContain(asks);
      expect([...reached([`../test/unit/${path}`])]).toEqual(expect.arrayContaining([...by]));
    },
  );
});

test('what passes them is what the commands and the server’s two processes run, or what measures the evidence', () => {
  const server = reached(['cli.ts', 'worker.ts']);
  const evidence = reached(['../test/evaluate/search.ts']);
  for (const { by } of Object.values(LEDGER).flat())
    for (const path of by)
      expect(path.startsWith('../test/evaluate/') ? evidence : server).toContain(path);
});

test('docs/vectors.md counts the same cases, and names the same gaps', () => {
  const page = readFileSync(here('../../docs/vectors.md'), 'utf8');
  for (const file of files) {
    const [row] = page.split('\n').filter((line) => line.startsWith(`| \`${file}\``));
    const [, , cases, passed] = row!.split('|').map((cell) => cell.trim());
    const names = namesOf(file);
    expect([file, cases, passed]).toEqual([
      file,
      String(names.length),
      String(names.filter((name) => !isGap(file, name)).length),
    ]);
    for (const gap of GAPS[file] ?? []) expect(row).toContain(`\`${gap}\``);
  }
});
