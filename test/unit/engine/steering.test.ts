/** Steering in the engine: which rows it reaches, who inherits it, and who shares a pass. */

import { expect, test } from 'vitest';
import type { SteeringUse } from '../../../src/core/engine.ts';
import { steeringOf } from '../../../src/engine/steering.ts';
import { advance, answer, within } from '../../fakes/drive.ts';
import { fakeEngine, opening } from '../../fakes/engine.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const calm: readonly SteeringUse[] = [{ vector: 'calm', scale: 1 }];
const bright: readonly SteeringUse[] = [{ vector: 'bright', scale: 1 }];
const asked = (steering: readonly SteeringUse[] = [], changes = {}) =>
  opening({ steering, maxTokens: 12, ...changes });

test('vector entropy_weighted_steering: scale times the vector is what is added', () => {
  interface In {
    readonly multiplier: number;
    readonly activation: readonly number[];
  }
  interface Out {
    readonly weighted_mean: readonly number[];
    readonly steered_with_weighted_mean: readonly number[];
  }
  const { input, expected } = vectorCase<In, Out>(
    'personal_multi.json',
    'entropy_weighted_steering',
  );
  const vectors = new Map([['mean', Float32Array.from(expected.weighted_mean)]]);
  const added = steeringOf([{ vector: 'mean', scale: input.multiplier }], vectors)!;
  input.activation.forEach((x, i) =>
    expect(x + added[i]!).toBeCloseTo(expected.steered_with_weighted_mean[i]!, 6),
  );
});

test('several vectors add up', () => {
  const vectors = new Map([
    ['a', Float32Array.of(1, 2)],
    ['b', Float32Array.of(-1, 4)],
  ]);
  const uses = [
    { vector: 'a', scale: 2 },
    { vector: 'b', scale: 0.5 },
  ];
  expect([...steeringOf(uses, vectors)!]).toEqual([1.5, 6]);
  expect(steeringOf([], vectors)).toBeNull();
});

test('each scale of each vector is an answer of its own', async () => {
  const { engine } = fakeEngine({ endBias: -100 });
  const all = [[], calm, bright, [{ vector: 'calm', scale: 2 }], [...bright, ...calm]];
  const texts = [];
  for (const steering of all) texts.push((await answer(engine, asked(steering))).text);
  expect(new Set(texts).size).toBe(all.length);
});

test('rows of different steering, and of none, share every pass', async () => {
  const { engine, models } = fakeEngine({ endBias: -100 });
  const all = [[], calm, bright, calm].map((steering, seed) => asked(steering, { seed }));
  await Promise.all(all.map((one) => answer(engine, one)));
  expect(models.policy.work).toMatchObject({ steps: 11, rows: 4 * 11 });
});

test('forks go on under what their parent was read with', async () => {
  const twins = async (steering: readonly SteeringUse[]) => {
    const { engine } = fakeEngine({ endBias: -100 });
    const greedy = asked(steering, { peak: 3, sampling: { temperature: 0 } });
    return within(engine, greedy, async (session) => {
      await advance(session, [session.root], 4);
      const branches = session.fork(session.root, 3);
      await advance(session, branches, 6);
      return branches.map(({ text }) => text);
    });
  };
  const [steered, still] = [await twins(calm), await twins([])];
  expect(new Set(steered)).toEqual(new Set([steered[0]]));
  expect(steered[0]).not.toBe(still[0]);
});

test('what is parked is read again under its steering', async () => {
  const { engine, models } = fakeEngine({ endBias: -100 });
  const parked = (steering: readonly SteeringUse[]) =>
    within(engine, asked(steering), async (session) => {
      await advance(session, [session.root], 4);
      session.park([session.root]);
      await advance(session, [session.root], 4);
      return session.root.text;
    });
  const alone = await parked(calm);
  expect(models.policy.work.prefills).toBeGreaterThan(1);
  const [again, still] = await Promise.all([parked(calm), parked([])]);
  expect(again).toBe(alone);
  expect(still).not.toBe(alone);
});

test('a guide reads its model as it is', async () => {
  const { engine } = fakeEngine({ endBias: -100 });
  const guided = asked(calm, { guides: [['policy', 1]], maxTokens: 1, top: 27 });
  const [first] = (await answer(engine, guided)).draws;
  const [plain] = (await answer(engine, asked([], { maxTokens: 1, top: 27 }))).draws;
  const base = plain!.top.find(({ token }) => token === first!.token)!;
  expect(first!.guides[0]).toBeCloseTo(base.logprob, 5);
  expect(first!.base).not.toBeCloseTo(base.logprob, 2);
});
