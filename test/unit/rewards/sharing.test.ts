import { expect, test, vi } from 'vitest';
import type { ScoreModel } from '../../../src/core/model.ts';
import type { Candidate } from '../../../src/core/reward.ts';
import { batched } from '../../../src/rewards/batched.ts';
import { cached, scoreCache } from '../../../src/rewards/cached.ts';
import { scalarHead } from '../../../src/rewards/scalar_head.ts';
import { timed } from '../../../src/rewards/timed.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { candidate, fakeReward } from '../../fakes/reward.ts';
import { idleTurns } from '../../fakes/turns.ts';

const prompt = [0, 9, 9];
const rated = (text: string, changes: Partial<Candidate> = {}): Candidate =>
  candidate(text, { readings: { rm: prompt }, ...changes });

/** Scores a row by its sum; keeps the shapes of its runs. */
function summing(context = 64): ScoreModel & { readonly runs: number[][] } {
  const runs: number[][] = [];
  return {
    name: 'rm',
    context,
    runs,
    missing: (row) => row.length,
    readOn: () => false,
    score(rows) {
      runs.push(rows.map(({ length }) => length));
      return Float32Array.from(rows, (row) => row.reduce((sum, token) => sum + token, 0));
    },
  };
}

const head = (model: ScoreModel, runTokens = 64) =>
  scalarHead({ model, codec: byteCodec, reads: 'prefix', runTokens, turns: idleTurns() });

test('a scalar head reads prompt, answer and, if it is complete, the end token', async () => {
  const score = vi.fn((rows: readonly (readonly number[])[]) => new Float32Array(rows.length));
  await head({ ...summing(), score }).score([rated('abc'), rated('ab', { complete: false })]);
  expect(score.mock.calls[0]![0]).toEqual([
    [...prompt, ...byteCodec.encode('abc'), 0],
    [...prompt, ...byteCodec.encode('ab')],
  ]);
});

test('runs read at most their tokens, and come one a turn', async () => {
  const model = summing();
  const reward = head(model, 20);
  const texts = ['a', 'bbbbbbbbbbbbbbbbbbbbbbbb', 'cc', 'ddd', 'eeee', 'f'];
  const all = await reward.score(texts.map((text) => rated(text)));
  expect(model.runs).toEqual([[5], [28], [6, 7], [8, 5]]);
  for (const [i, text] of texts.entries())
    expect((await reward.score([rated(text)]))[0]).toEqual(all[i]);
});

test('what is longer than the context is not judged; the others are', async () => {
  const scores = await head(summing(8)).score([rated('a'), rated('too long for it')]);
  expect(scores.map(({ value }) => Number.isFinite(value))).toEqual([true, false]);
});

test('calls of one turn, from all requests, are one batch', async () => {
  const inner = fakeReward('rm', ({ text }) => text.length);
  const reward = batched(inner);
  const [first, second] = await Promise.all([
    reward.score([rated('a'), rated('bb')]),
    reward.score([rated('ccc')]),
  ]);
  expect(inner.batches).toHaveLength(1);
  expect(first.map(({ value }) => value)).toEqual([1, 2]);
  expect(second.map(({ value }) => value)).toEqual([3]);
  await reward.score([rated('a')]);
  expect(inner.batches).toHaveLength(2);
});

test('a caller who breaks a batch fails alone', async () => {
  const inner = fakeReward('rm', ({ text }) => {
    if (text === 'bad') throw new Error('cannot read it');
    return text.length;
  });
  const reward = batched(inner);
  const [good, bad, fine] = await Promise.allSettled([
    reward.score([rated('a')]),
    reward.score([rated('bad')]),
    reward.score([rated('cc')]),
  ]);
  expect(good).toMatchObject({ status: 'fulfilled', value: [{ value: 1 }] });
  expect(bad.status).toBe('rejected');
  expect(fine).toMatchObject({ status: 'fulfilled', value: [{ value: 2 }] });
  await expect(reward.score([rated('bad')])).rejects.toThrow('cannot read it');
});

test('what was judged before is not judged again, under the same prompt and end only', async () => {
  const inner = fakeReward('rm');
  const reward = cached(inner, scoreCache(1 << 16));
  const [first] = await reward.score([rated('a')]);
  expect(first!.tokens).toBe(1);
  const again = await reward.score([rated('a'), rated('b'), rated('b')]);
  expect(again[0]).toEqual({ value: first!.value, parts: first!.parts });
  expect(again.map(({ tokens }) => tokens)).toEqual([undefined, 1, undefined]);
  expect(inner.batches.map((batch) => batch.map(({ text }) => text))).toEqual([['a'], ['b']]);
  await reward.score([rated('a', { readings: { rm: [0, 1] } })]);
  await reward.score([rated('a', { complete: false })]);
  expect(inner.batches).toHaveLength(4);
});

test('the cache is bounded in bytes, and keeps no score that is none', async () => {
  const inner = fakeReward('rm', ({ text }) => (text === 'x' ? NaN : 1));
  const cache = scoreCache(4096);
  const reward = cached(inner, cache);
  for (let i = 0; i < 100; i++) await reward.score([rated(`answer ${i}`)]);
  expect(cache.calculatedSize).toBeLessThanOrEqual(4096);
  expect(cache.size).toBeGreaterThan(2);
  await reward.score([rated('x')]);
  await reward.score([rated('x')]);
  expect(inner.batches.filter(([one]) => one!.text === 'x')).toHaveLength(2);
});

/** A model, and a signal that aborts in its first run. */
function leftInRun() {
  const [model, leave] = [summing(), new AbortController()];
  const score: ScoreModel['score'] = (rows) => {
    leave.abort(new Error('left'));
    return model.score(rows);
  };
  return { model, head: head({ ...model, score }, 8), signal: leave.signal };
}

test('what nobody waits for is not read: neither what was not begun, nor the rest of it', async () => {
  const { model, head: inner, signal } = leftInRun();
  const reward = timed(batched(inner), 60_000);
  await expect(reward.score([rated('a'), rated('b')], signal)).rejects.toThrow('left');
  await expect(reward.score([rated('d')], signal)).rejects.toThrow('left');
  const before = new AbortController();
  const never = reward.score([rated('e')], before.signal);
  before.abort(new Error('left'));
  await expect(never).rejects.toThrow('left');
  const [one] = await reward.score([rated('ffff')]);
  expect(one!.value).toBeGreaterThan(0);
  expect(model.runs).toEqual([[5], [8]]);
});

test('a batch is read on for whoever still waits', async () => {
  const { model, head: inner, signal } = leftInRun();
  const reward = batched(inner);
  const both = [reward.score([rated('a')], signal), reward.score([rated('b')])];
  expect((await both[1]!)[0]!.value).toBeGreaterThan(0);
  expect(model.runs).toEqual([[5], [5]]);
});
