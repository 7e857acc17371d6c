/**
 * npm run evaluate:partial [-- --prompts 100 --answers 32 --only REGEX --write]: how far a reward's score of the first tokens of an
 * answer goes with its score of the whole one, over base samples of prompts that no training and no table of evidence
 * saw; within prompts, for pruning compares answers of one prompt. And what would be lost and saved if answers were given
 * up by it (schedules.ts): `--write` stores that in the manifests as `facts.pruning`, by which `prune: calibrated` decides.
 */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Reward } from '../../src/core/reward.ts';
import type { Branch } from '../../src/core/tree.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { candidateOf } from '../../src/run/scores.ts';
import { alive } from '../../src/strategies/select.ts';
import { loadLocal } from '../bench/local.ts';
import { arithProblems } from '../support/arith.ts';
import { pooled } from '../support/pooled.ts';
import { linesOf, markdown, mean } from './asked.ts';
import { correlationWithin, ranksOf, type Pair } from './correlation.ts';
import { writeFacts } from './facts.ts';
import { schedulesOf, type Fitted, type Watched } from './schedules.ts';

const { values: options } = parseArgs({
  options: {
    prompts: { type: 'string', default: '100' },
    answers: { type: 'string', default: '32' },
    only: { type: 'string', default: '.' },
    write: { type: 'boolean', default: false },
  },
});
const ANSWERS = Number(options.answers);
/** Lengths that are looked at, in tokens of the policy. */
const POINTS = [16, 32, 48, 64, 80, 96];
/** Below this, a figure would say nothing. */
const LEAST_PAIRS = 100;

const named = (prefix: string): string[] => ['a', 'b', 'c'].map((member) => `${prefix}-${member}`);
const SETS = [
  {
    policy: 'tales',
    rewards: [...named('rm-happy'), ...named('rm-kind')],
    maxTokens: 160,
    prompts: linesOf<{ prompt: string }>('../data/base_prompts.jsonl', 100),
  },
  {
    policy: 'arith',
    rewards: ['arith-value', 'arith-outcome'],
    maxTokens: 110,
    prompts: arithProblems().slice(-40),
  },
].map((set) => ({ ...set, prompts: set.prompts.slice(0, Number(options.prompts)) }));

const DEFAULT = fileURLToPath(new URL('../../config/default.yaml', import.meta.url));
const { config, engine, rewards: judges, planOf } = loadLocal(DEFAULT);

/** The answers of one prompt, watched by each reward as they grow. */
async function watched(
  plan: Plan,
  prompt: number,
  rewards: readonly Reward[],
): Promise<Watched[][]> {
  const [asked] = plan.prompts;
  const { signal } = new AbortController();
  const peak = { least: ANSWERS, most: ANSWERS };
  const opening = { ...plan.opening, lanes: asked!.lanes, choice: 0, peak, bend: null };
  await using session = await engine.open(opening, signal);
  const branches = session.fork(session.root, ANSWERS);
  async function scores(reward: Reward, of: readonly Branch[]): Promise<number[]> {
    const said = await reward.score(of.map((branch) => candidateOf(branch, asked!)));
    return said.map(({ value }) => value);
  }
  const partial = rewards.map(() => branches.map(() => new Map<number, number>()));
  let before = 0;
  for (const point of POINTS) {
    await session.extend(branches.filter(alive), { tokens: point - before });
    before = point;
    const growing = branches.filter(alive);
    for (const [r, reward] of rewards.entries())
      for (const [i, score] of (await scores(reward, growing)).entries())
        partial[r]![branches.indexOf(growing[i]!)]!.set(point, score);
  }
  await session.extend(branches.filter(alive), { tokens: session.maxTokens });
  return Promise.all(
    rewards.map(async (reward, r) =>
      (await scores(reward, branches)).map((final, i) => ({
        prompt,
        tokens: branches[i]!.tokens.length,
        partial: partial[r]![i]!,
        final,
      })),
    ),
  );
}

/** By length; lengths that too few answers outgrow are left out. */
function figuresOf(seen: readonly Watched[]) {
  const measured = POINTS.map((point) => {
    const pairs = seen
      .filter(({ partial }) => partial.has(point))
      .map(({ prompt, partial, final }): Pair => [prompt, partial.get(point)!, final]);
    return { point, pairs };
  });
  return measured
    .filter(({ pairs }) => pairs.length >= LEAST_PAIRS)
    .map(({ point, pairs }) => {
      const { correlation, samples } = correlationWithin(pairs);
      return {
        point,
        correlation,
        samples,
        spearman: correlationWithin(ranksOf(pairs)).correlation,
      };
    });
}

const CORRELATION_HEAD = ['reward', 'tokens (of a mean answer)', 'Pearson', 'Spearman', 'pairs'];

function correlationRows(name: string, seen: readonly Watched[]): string[][] {
  const length = mean(seen.map(({ tokens }) => tokens));
  return figuresOf(seen).map(({ point, correlation, spearman, samples }) => [
    name,
    `${point} (${Math.round((100 * point) / length)} %)`,
    correlation.toFixed(2),
    spearman.toFixed(2),
    `${samples}`,
  ]);
}

const SCHEDULE_HEAD = [
  'reward',
  'answers',
  'given up of what grows',
  'gain lost',
  'at most (95 %)',
  'tokens saved',
];

function scheduleRow(name: string, { n, alphas, loss, most, saved }: Fitted): string[] {
  const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
  const shares = [...alphas].map(([at, alpha]) => `${percent(alpha)} at ${at}`);
  return [name, `${n}`, shares.join(', '), percent(loss), percent(most), percent(saved)];
}

const digits = (x: number): number => Number(x.toFixed(4));

/** As manifests store it. */
const factOf = ({ n, alphas, loss, most, saved }: Fitted) => ({
  n,
  alphas: Object.fromEntries(alphas),
  loss: digits(loss),
  most: Math.ceil(1e4 * most) / 1e4, // a bound is no less than it is
  saved: digits(saved),
});

for (const { policy, rewards, prompts, maxTokens } of SETS) {
  const chosen = rewards.filter((name) => new RegExp(options.only).test(name));
  if (chosen.length === 0) continue;
  const strategy = { type: 'best_of_n', n: ANSWERS };
  const alignment = { strategy, rewards: chosen.map((model) => ({ model })) };
  const models = chosen.map((name) => judges.models.get(name)!);
  const answers = await pooled(prompts, 4, ({ prompt }, seed) => {
    const plan = planOf({ model: policy, prompt, seed, max_tokens: maxTokens, alignment }, seed);
    return watched(plan, seed, models);
  });
  const found = chosen.map((name, r) => {
    const seen = answers.flatMap((of) => of[r]!);
    const points = figuresOf(seen).map(({ point }) => point);
    return { name, seen, schedules: schedulesOf(seen, points) };
  });
  const note = `${prompts.length} prompts, ${ANSWERS} base samples each at temperature 1; pairs: samples longer than that, less one a prompt for its mean.`;
  const correlations = found.flatMap(({ name, seen }) => correlationRows(name, seen));
  console.log(`${markdown({ head: CORRELATION_HEAD, rows: correlations, notes: [note] })}\n`);
  const rows = found.flatMap(({ name, schedules }) =>
    schedules.map((one) => scheduleRow(name, one)),
  );
  console.log(`${markdown({ head: SCHEDULE_HEAD, rows, notes: [] })}\n`);
  if (options.write)
    for (const { name, schedules } of found)
      writeFacts(config.models[name]!.path, { pruning: schedules.map(factOf) });
}
engine.audit();
process.exit(0);
