/** Searches on the default pack's real weights: forks, parked branches and traffic must not show in the answer. */

import { expect, test } from 'vitest';
import { strategies } from '../../../src/strategies/index.ts';
import type { Plan } from '../../../src/plan/plan.ts';
import { talesCodec, talesEngine } from '../../fakes/models.ts';
import { planOf, ran, type PlanAsk, type Ran } from '../../fakes/plan.ts';
import { sumOf, use } from '../../fakes/reward.ts';
import { rewarded } from '../../fakes/rewarded.ts';

const STORY = 'Once upon a time, there was a little girl named Emma. She had a red kite. ';
const prompt = talesCodec().prompt(STORY);
const QUESTION = talesCodec().encode(' Would you do better by starting over?');

function planFor(strategy: string, fields: object, ask: PlanAsk = {}): Plan {
  const params = strategies[strategy]!.parse(fields, {
    maxTokens: 16,
    judged: false,
    selfQuestion: () => ({ asks: QUESTION, labels: [5, 6], calibration: null }),
  });
  const guides = [['arm-happy', 1]] as const;
  const plan = planOf({
    strategy,
    params,
    prompt,
    maxTokens: 16,
    guides,
    reward: sumOf(use('hash')),
    extra: QUESTION.length,
    ...ask,
  });
  const models = ['tales', ...(ask.guides ?? guides).map(([model]) => model)];
  const lanes = models.map((model) => ({ model, prompt }));
  return { ...plan, prompts: [{ lanes, text: STORY, messages: null, readings: {} }] };
}

const SEARCHES: readonly (readonly [string, object])[] = [
  ['beam', { width: 4, length_penalty: 1 }],
  ['segment_beam', { width: 2, expand: 2, segment: { tokens: 4 } }],
  ['segment_rejection', { target: 0.9, segment: { entropy: 1, max_tokens: 6 }, attempts: 3 }],
  ['args', { top_k: 3 }],
  ['particles', { n: 4, every: 4, ess: 1 }],
  ['mcts', { segment: { tokens: 5 }, iterations: 4, end_gate: 2 }],
  ['vote', { n: 5 }],
  ['best_of_n', { n: 4, prune: { type: 'self_evaluation', at: [3, 9] } }],
  ['best_of_n', { n: 5, adaptive: { self_evaluation: { probability: 0.9 }, round: 2 } }],
];

test('every search gives the same answer alone and in traffic', async () => {
  const plans = SEARCHES.map(([strategy, fields], i) => planFor(strategy, fields, { seed: i }));
  const alone: Ran[] = [];
  for (const plan of plans) alone.push(await ran(rewarded(talesEngine()), plan));
  for (const options of [{}, { prefixBytes: 0, iterationTokens: 24 }]) {
    const engine = talesEngine({ ...options, classes: [{ length: 384, rows: 12 }] });
    const crowd = await Promise.all(plans.map((plan) => ran(rewarded(engine), plan)));
    plans.forEach(({ strategy }, i) => {
      expect(crowd[i]!.bugs).toEqual([]);
      const [{ text, draws }] = crowd[i]!.choices as [(typeof crowd)[0]['choices'][0]];
      expect(text, strategy).toBe(alone[i]!.choices[0]!.text);
      expect(draws, strategy).toEqual(alone[i]!.choices[0]!.draws);
    });
    engine.audit();
  }
}, 120_000);

test('beam of width 1 is greedy; a wider one finds an answer at least as likely', async () => {
  const engine = talesEngine();
  const ask = { guides: [] };
  const sum = async (plan: Plan): Promise<number> => {
    const { draws } = (await ran(engine, plan)).choices[0]!;
    return draws.reduce((total, { logprob }) => total + logprob, 0);
  };
  const narrow = await ran(engine, planFor('beam', { width: 1 }, ask));
  const greedy = await ran(engine, planFor('sample', {}, { ...ask, sampling: { temperature: 0 } }));
  expect(narrow.choices[0]!.draws.map(({ token }) => token)).toEqual(
    greedy.choices[0]!.draws.map(({ token }) => token),
  );
  expect(await sum(planFor('beam', { width: 6 }, ask))).toBeGreaterThan(
    await sum(planFor('beam', { width: 1 }, ask)),
  );
});
