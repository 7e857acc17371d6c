import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import type { Branch } from '../../../src/core/tree.ts';
import { Judge } from '../../../src/run/judge.ts';
import { forever } from '../../fakes/drive.ts';
import { fakeReward } from '../../fakes/reward.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const judgeOf = () =>
  new Judge({
    reward: fakeReward('r', ({ branch }) => branch),
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
  finish: 'stop',
});

test('of hypotheses that were given up it keeps what is reported, and no more than are', async () => {
  const judge = judgeOf();
  const answer = branchOf(0);
  let given: WeakRef<Branch> | null = null;
  for (let id = 1; id <= 1000; id++) {
    const other = branchOf(id);
    await judge.score([answer, other]);
    given ??= new WeakRef(other);
    judge.kept([answer]);
  }
  await new Promise((resolve) => setImmediate(resolve)); // a WeakRef holds on until its turn is over
  gc();
  expect(given!.deref()).toBeUndefined();
  const report = judge.report([answer], 1, [
    { id: 2, tokens: 3 },
    { id: 5000, tokens: 7 },
  ]);
  expect(report).toHaveLength(1 + 256);
  expect(report[0]).toMatchObject({ index: 0, status: 'selected', score: 0, tokens: 3 });
  expect(report[1]).toMatchObject({ index: 1, status: 'pruned', score: 1, prunedAt: 3 });
  expect(new Set(report.map(({ index }) => index)).size).toBe(257);
});

test('those that were given up without being judged are reported too', async () => {
  const judge = judgeOf();
  const [answer, other] = [branchOf(0), branchOf(1)];
  await judge.score([answer, other]);
  judge.kept([answer]);
  const report = judge.report([answer], 1, [
    { id: 1, tokens: 3 },
    { id: 2, tokens: 7 },
  ]);
  expect(report.slice(1)).toEqual([
    expect.objectContaining({ index: 1, score: 1, prunedAt: 3, status: 'pruned' }),
    { index: 2, score: null, parts: {}, tokens: 7, status: 'pruned', prunedAt: 7 },
  ]);
});
