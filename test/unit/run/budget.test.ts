import { afterEach, describe, expect, test } from 'vitest';
import type { Candidate } from '../../../src/core/reward.ts';
import { strategies } from '../../../src/strategies/index.ts';
import { turns } from '../../fakes/drive.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran, type PlanAsk, type RunAsk } from '../../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';

const long = fakeEngine({ endBias: -100 }).engine;
const { engine } = fakeEngine({ endBias: 0.5 });
afterEach(() => {
  engine.audit();
  long.audit();
});

const judged = sumOf(use('r'));
const searching = (type: string, fields: object, ask: PlanAsk = {}) => {
  const params = strategies[type]!.parse(fields, {
    maxTokens: ask.maxTokens ?? 20,
    judged: true,
  });
  return planOf({ strategy: type, params, reward: judged, ...ask });
};
const valued = (
  value: (candidate: Candidate) => number,
  reads: 'prefix' | 'complete' = 'prefix',
): RunAsk => ({
  rewardOf: () => composed(judged, loaded({ ...fakeReward('r', value), reads })),
});

describe('the best so far', () => {
  test('is the best by reward of what was drawn, though nothing was judged before', async () => {
    const plan = searching('best_of_n', { n: 4 }, { budget: 12 });
    const ask = valued(({ branch }) => branch);
    const { choices } = await ran(long, plan, ask);
    const { report, finish, tokens } = choices[0]!;
    // One row at a time: traffic must not show in what a budget leaves.
    expect(report!.candidates).toEqual([
      expect.objectContaining({ index: 0, status: 'selected', tokens: 12, score: 0 }),
    ]);
    expect([finish, tokens, report!.exhausted]).toEqual(['length', 12, 'tokens']);
    const wide = searching('particles', { n: 4, every: 2, lambda: 1, ess: 0 }, { budget: 12 });
    const found = (await ran(long, wide, ask)).choices[0]!.report!;
    expect(found.candidates.map(({ status, tokens: n }) => [status, n])).toEqual([
      ['pruned', 3],
      ['pruned', 3],
      ['pruned', 3],
      ['selected', 3],
    ]);
  });

  test('prefers a finished answer to a better beginning of one', async () => {
    let finished = 0;
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const plan = searching('best_of_n', { n: 8 }, { budget: 40, seed });
      const { choices } = await ran(
        engine,
        plan,
        valued(({ complete }) => (complete ? -1 : 1)),
      );
      const { report, finish } = choices[0]!;
      const ended = report!.candidates.filter(({ score }) => score === -1);
      expect(finish).toBe(ended.length > 0 ? 'stop' : 'length');
      finished += ended.length;
    }
    expect(finished).toBeGreaterThan(0);
  });

  test('shows no unfinished answer to a reward that reads complete ones', async () => {
    for (const seed of [1, 2, 3]) {
      const plan = searching('best_of_n', { n: 8 }, { budget: 30, seed });
      const ask = valued(({ complete }) => (expect(complete).toBe(true), 1), 'complete');
      const { choices, bugs } = await ran(engine, plan, ask);
      expect(bugs).toEqual([]);
      expect(choices[0]!.report!.exhausted).toBe('tokens');
    }
  });

  test('is a failure of the request where the reward fails, as without a budget', async () => {
    const broken = valued(() => {
      throw new Error('secret');
    });
    const plan = searching('particles', { n: 4, every: 8 }, { budget: 12 });
    const { events } = await ran(long, plan, broken);
    expect(events.at(-1)).toMatchObject({ kind: 'failed', failure: { code: 'reward_failed' } });
  });
});

test('a tree search draws no more than its budget, whatever its iterations would', async () => {
  for (const [type, fields] of [
    ['mcts', { segment: { tokens: 4 }, iterations: 200, end_gate: 1e6 }],
    ['segment_rejection', { segment: { tokens: 4 }, attempts: 50, target: 1e6, temperature: 0.01 }],
  ] as const) {
    const free = await ran(long, searching(type, fields));
    const most = free.choices[0]!.report!.generatedTokens;
    const budget = Math.floor(most / 2);
    const held = await ran(long, searching(type, fields, { budget }));
    const report = held.choices[0]!.report!;
    expect([report.exhausted, report.generatedTokens]).toEqual(['tokens', budget]);
  }
});

test('time that ends while a reward is thinking ends the request at once', async () => {
  let ring = (): void => undefined;
  const after = (_: number, call: () => void) => ((ring = call), () => undefined);
  const thinking = { ...fakeReward('r'), score: () => (ring(), new Promise<never>(() => {})) };
  const plan = searching('best_of_n', { n: 4 }, { budgetMs: 5 });
  const { choices } = await ran(engine, plan, { after, rewardOf: () => thinking });
  const { report, text } = choices[0]!;
  expect(report).toMatchObject({ exhausted: 'ms', rewardTokens: 0 });
  expect(text.length).toBeGreaterThan(0);
});

test('time that is called off: an answer in time is not marked, and its clock is stopped', async () => {
  let stopped = 0;
  const after = () => () => void stopped++;
  const { choices } = await ran(engine, planOf({ budgetMs: 5, n: 3 }), { after });
  expect(choices.map(({ report }) => report!.exhausted)).toEqual([null, null, null]);
  expect(stopped).toBe(1);
});

test('a cancelled request is cancelled, also when its time has ended', async () => {
  let ring = (): void => undefined;
  const after = (_: number, call: () => void) => ((ring = call), () => undefined);
  const abort = new AbortController();
  const running = ran(long, planOf({ budgetMs: 5 }), { after, signal: abort.signal });
  await turns(3);
  abort.abort();
  ring();
  expect((await running).events.at(-1)).toMatchObject({ kind: 'end', cancelled: true });
});
