import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { Branch } from '../../../src/core/tree.ts';
import type { Candidate } from '../../../src/core/reward.ts';
import { Scores } from '../../../src/run/scores.ts';
import { strategies } from '../../../src/strategies/index.ts';
import { forever } from '../../fakes/drive.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran } from '../../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const scoresOf = (reward = fakeReward('r', ({ branch }) => branch)) =>
  new Scores({
    reward,
    prompt: { lanes: [], text: '', messages: null, readings: {} },
    signal: forever,
    onScored: () => undefined,
    onBug: () => undefined,
  });

const branchOf = (id: number): Branch => ({
  id,
  tokens: [1, 2, 3],
  draws: [],
  text: 'abc',
  logprob: 0,
  base: 0,
  logZ: 0,
  states: null,
  finish: 'stop',
});

test('of hypotheses that were given up it keeps what is reported, and no more than are', async () => {
  const scores = scoresOf();
  const answer = branchOf(0);
  let given: WeakRef<Branch> | null = null;
  for (let id = 1; id <= 1000; id++) {
    const other = branchOf(id);
    await scores.score([answer, other]);
    given ??= new WeakRef(other);
    scores.kept([answer]);
  }
  await new Promise((resolve) => setImmediate(resolve)); // a WeakRef holds on until its turn is over
  gc();
  expect(given!.deref()).toBeUndefined();
  const report = scores.report([answer], 1, [
    { id: 2, tokens: 3, whole: false },
    { id: 5000, tokens: 7, whole: false },
  ]);
  expect(report).toHaveLength(1 + 256);
  expect(report[0]).toMatchObject({ index: 0, status: 'selected', score: 0, tokens: 3 });
  expect(report[1]).toMatchObject({ index: 1, status: 'pruned', score: 1, prunedAt: 3 });
  expect(new Set(report.map(({ index }) => index)).size).toBe(257);
});

test('those that were given up without being judged are reported too', async () => {
  const scores = scoresOf();
  const [answer, other] = [branchOf(0), branchOf(1)];
  await scores.score([answer, other]);
  scores.kept([answer]);
  const report = scores.report([answer], 1, [
    { id: 1, tokens: 3, whole: false },
    { id: 2, tokens: 7, whole: false },
  ]);
  expect(report.slice(1)).toEqual([
    expect.objectContaining({ index: 1, score: 1, prunedAt: 3, status: 'pruned' }),
    { index: 2, score: null, parts: {}, tokens: 7, status: 'pruned', prunedAt: 7 },
  ]);
});

test('a candidate without a score is told as one, also where no other had a score before', async () => {
  const reward = fakeReward('r', ({ branch }) => (branch === 0 ? NaN : 1));
  const scores = scoresOf(reward);
  const values = async (id: number) =>
    (await scores.score([branchOf(id)])).map(({ value }) => value);
  expect(await values(0)).toEqual([NaN]);
  expect(await values(1)).toEqual([1]);
  expect(scores.scoreOf(branchOf(0))).toBeNull();
});

/** Each judges some candidates before all others, alone or by themselves: those have no score. */
const EARLY: readonly [string, object, (candidate: Candidate) => boolean][] = [
  ['segment_rejection', { target: 0.5, segment: { tokens: 3 } }, ({ text }) => text === ''],
  ['segment_rejection', { segment: { tokens: 3 } }, ({ branch }) => branch <= 3],
  ['best_of_n', { n: 4, adaptive: { threshold: 2 } }, ({ branch }) => branch === 0],
  ['mcts', { branch: 1, segment: { tokens: 3 } }, ({ tokens }) => tokens.length === 3],
  ['beam', { width: 2 }, ({ tokens }) => tokens.length === 1],
];

test.each(EARLY)('%s %j goes on where its first candidates have no score', async (...row) => {
  const [strategy, fields, isUnknown] = row;
  const judged = sumOf(use('r'));
  let unknown = 0;
  const reward = fakeReward('r', (one) => {
    unknown += Number(isUnknown(one));
    return isUnknown(one) ? NaN : 1;
  });
  const context = { maxTokens: 12, judged: true };
  const params = strategies[strategy]!.parse(fields, context);
  const { engine } = fakeEngine({ endBias: -100 });
  const plan = planOf({ strategy, params, reward: judged, maxTokens: 12 });
  const rewardOf = () => composed(judged, loaded(reward));
  const { choices, events, bugs } = await ran(engine, plan, { rewardOf });
  expect(bugs).toEqual([]);
  expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: false });
  expect(choices[0]!.tokens).toBe(12);
  const selected = choices[0]!.report!.candidates.find(({ status }) => status === 'selected');
  expect(selected!.score).not.toBeNull();
  expect(unknown).toBeGreaterThan(0);
});
