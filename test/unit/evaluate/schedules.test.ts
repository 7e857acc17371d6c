import { describe, expect, test } from 'vitest';
import type { Candidate } from '../../../src/core/reward.ts';
import type { Schedule } from '../../../src/core/strategy.ts';
import { bestOfN } from '../../../src/strategies/best_of_n.ts';
import { counted, fit, fitted, groupsOf, schedulesOf } from '../../evaluate/schedules.ts';
import type { Watched } from '../../evaluate/schedules.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran } from '../../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';
import { mulberry } from '../../support/mulberry.ts';

const POINTS = [8, 16];

/** Answers of 12 to 32 tokens whose scores after 8 and 16 tokens are the final ones, and so much noise. */
function watched(prompts: number, of: number, noise: readonly number[], seed = 7): Watched[] {
  const random = mulberry(seed);
  const centred = (): number => random() + random() + random() - 1.5;
  return Array.from({ length: prompts * of }, (_, i) => {
    const [tokens, final] = [12 + Math.floor(20 * random()), centred()];
    const heard = POINTS.map((at, k) => [at, final + noise[k]! * centred()] as const);
    const partial = new Map(heard.filter(([at]) => at < tokens));
    return { prompt: Math.floor(i / of), tokens, partial, final };
  });
}

const answer = (tokens: number, final: number, ...partial: [number, number][]): Watched => ({
  prompt: 0,
  tokens,
  partial: new Map(partial),
  final,
});

describe('what pruning a group comes to', () => {
  const group = [
    answer(20, 1, [8, 0], [16, 4]),
    answer(20, 4, [8, 1], [16, 1]),
    answer(20, 2, [8, 2], [16, 2]),
    answer(20, 3, [8, 3], [16, 3]),
    answer(8, 0), // finished before any decision
  ];

  test('the best of what is left, and the tokens that were drawn of who is gone', () => {
    expect(counted(group, new Map())).toMatchObject({ gain: 2, lost: 0, tokens: 88, drawn: 88 });
    expect(counted(group, new Map([[8, 0.25]]))).toMatchObject({ lost: 0, drawn: 76 });
    expect(counted(group, new Map([[8, 0.5]]))).toMatchObject({ lost: 1, drawn: 64 });
  });

  test('decisions are taken in the order of their lengths, on who still grows', () => {
    const alphas = new Map([
      [16, 0.5], // of three, 1.5 go on: half to even, two
      [8, 0.25],
    ]);
    expect(counted(group, alphas)).toMatchObject({ lost: 1, drawn: 72 });
  });

  test('is what the server does', async () => {
    const { engine } = fakeEngine({ endBias: -1 });
    const value = ({ branch, tokens }: Candidate): number =>
      Math.sin(branch + 0.2 * Math.min(20, tokens.length));
    const plan = sumOf(use('r'));
    async function run(schedules: readonly Schedule[]) {
      const context = { maxTokens: 40, judged: true, schedules: () => schedules };
      const prune = { type: 'calibrated', loss: 1 };
      const params = bestOfN.parse({ n: 8, prune }, context);
      const asked = planOf({ strategy: 'best_of_n', params, reward: plan, maxTokens: 40 });
      const of = () => composed(plan, loaded(fakeReward('r', value)));
      return (await ran(engine, asked, { rewardOf: of })).choices[0]!.report!;
    }
    const whole = await run([]);
    const all = whole.candidates.map(({ score, tokens }, i): Watched => {
      const at = (length: number): [number, number] => [length, Math.sin(i + 0.2 * length)];
      return answer(tokens, score!, ...POINTS.filter((point) => point < tokens).map(at));
    });
    const alphas = POINTS.map((at) => ({ at, alpha: 0.5 }));
    const pruned = await run([{ n: 8, alphas, loss: 0, most: 0, saved: 0.1 }]);
    const count = counted(all, new Map(POINTS.map((at) => [at, 0.5])));
    expect(count.drawn).toBe(pruned.generatedTokens);
    expect(count.tokens).toBe(whole.generatedTokens);
    expect(count.drawn).toBeLessThan(count.tokens);
  });
});

test('groups are of one prompt, and share no answer', () => {
  const groups = groupsOf(watched(3, 10, [0, 0]), 4);
  expect(groups.map((group) => new Set(group.map(({ prompt }) => prompt)).size)).toEqual([
    1, 1, 1, 1, 1, 1,
  ]);
  expect(new Set(groups.flat()).size).toBe(24);
});

describe('a schedule', () => {
  test('gives up all but one at once where beginnings say everything, and nobody where they say nothing', () => {
    const sure = groupsOf(watched(40, 8, [0, 0]), 8);
    expect(fit(sure, POINTS, 0)).toEqual(new Map([[8, 0.875]]));
    const unsure = groupsOf(watched(40, 8, [1e6, 1e6]), 8);
    expect(fit(unsure, POINTS, 0.001)).toEqual(new Map());
  });

  test('waits for the length at which something is said', () => {
    const late = groupsOf(watched(60, 8, [1e6, 0]), 8);
    expect([...fit(late, POINTS, 0.005).keys()]).toEqual([16]);
  });

  test('is stored with a loss that other prompts bear out', () => {
    const noise = [1, 0.5];
    const { alphas, loss, most, saved } = fitted(
      groupsOf(watched(60, 16, noise), 16),
      POINTS,
      0.02,
      mulberry(1),
    );
    expect(most).toBeGreaterThan(loss);
    const others = groupsOf(watched(400, 16, noise, 8), 16).map((group) => counted(group, alphas));
    const sum = (of: 'gain' | 'lost' | 'tokens' | 'drawn'): number =>
      others.reduce((total, one) => total + one[of], 0);
    expect(sum('lost') / sum('gain')).toBeLessThan(most);
    expect(1 - sum('drawn') / sum('tokens')).toBeCloseTo(saved, 1);
  });

  test('is one of a list in which who risks more saves more', () => {
    const found = schedulesOf(watched(40, 8, [1, 0.5]), POINTS);
    expect(new Set(found.map(({ n }) => n))).toEqual(new Set([4, 8]));
    for (const n of [4, 8]) {
      const own = found.filter((one) => one.n === n);
      const risks = own.map(({ most }) => most);
      expect(risks).toEqual(risks.toSorted((a, b) => a - b));
      expect(own.every(({ saved }) => saved > 0)).toBe(true);
    }
  });
});
