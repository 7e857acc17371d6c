import { expect, test } from 'vitest';
import type { Opening } from '../../../src/core/engine.ts';
import { advance, answer, turns, within } from '../../fakes/drive.ts';
import { fakeEngine, opening, type Ask } from '../../fakes/engine.ts';
import {
  anAbortFreesAndDisturbsNobody,
  anErrorFrees,
  sameSeedSameAnswer,
  type MakeEngine,
} from '../../laws/engine.ts';

const make: MakeEngine = (options = {}) => fakeEngine({ endBias: 1, ...options }).engine;

const ramp = (length: number, first: number): number[] =>
  Array.from({ length }, (_, i) => 1 + ((first + 3 * i) % 26));

/** Every kind of request there is, 30 of them. */
function mixture(): Opening[] {
  const guides: Ask['guides'][] = [
    [],
    [['kind', 1]],
    [
      ['kind', 0.7],
      ['bold', -0.4],
    ],
    [['bold', 0]],
    [['bold', 5]],
  ];
  const samplings: Ask['sampling'][] = [
    {},
    { temperature: 0 },
    { temperature: 0.6, topK: 5 },
    { temperature: 1.7, topP: 0.8, presencePenalty: 0.5 },
    { minP: 0.1, repetitionPenalty: 1.3, logitBias: [[3, 2]] },
    { frequencyPenalty: 1 },
  ];
  const steerings: Ask['steering'][] = [
    [],
    [{ vector: 'calm', scale: 1 }],
    [
      { vector: 'bright', scale: 0.5 },
      { vector: 'calm', scale: -1 },
    ],
    [{ vector: 'calm', scale: 2 }],
  ];
  return Array.from({ length: 30 }, (_, i) =>
    opening({
      prompt: ramp([1, 2, 4, 17, 33, 90, 150][i % 7]!, i % 3),
      guides: guides[i % 5]!,
      steering: steerings[i % 4]!,
      sampling: samplings[i % 6]!,
      ...(i % 5 === 4 ? { maxKl: 0.3 } : {}),
      plausibility: i % 3 === 2 ? 0.2 : 0,
      maxTokens: 5 + ((i * 7) % 40),
      stops: i % 4 === 0 ? ['ab', 'q'] : [],
      seed: i % 9,
      choice: i % 2,
      top: i % 3,
    }),
  );
}

const large = { length: 256, rows: 64 };

test('same seed, same answer: alone, in a crowd, with and without a cache, in large and small pools', async () => {
  await sameSeedSameAnswer(make, mixture(), [
    {},
    { prefixBytes: 0 },
    { prefixBytes: 900 },
    { iterationTokens: 1 },
    { iterationTokens: 7 },
    { iterationTokens: 4096 },
    { classes: [large] },
    { classes: [{ length: 256, rows: 1 }] },
    { classes: [{ length: 200, rows: 3 }], iterationTokens: 70 },
  ]);
});

test('an answer does not depend on how many tokens are asked for at a time', async () => {
  for (const asked of mixture().slice(0, 12)) {
    const engine = make();
    const whole = await answer(engine, asked);
    for (const chunk of [1, 2, 7]) expect(await answer(engine, asked, { chunk })).toEqual(whole);
  }
});

const neighbours = mixture().slice(0, 6);
const victim = opening({ prompt: ramp(150, 1), guides: [['kind', 1]], maxTokens: 30, seed: 99 });

test('an abort in prefill or decode frees its slots by the next turn and changes no neighbour', async () => {
  await anAbortFreesAndDisturbsNobody(make, victim, neighbours, [0, 1, 2, 3, 4, 5, 8, 13, 50]);
});

test('an abort in the queue does too', async () => {
  const tight: MakeEngine = (options) => make({ classes: [{ length: 256, rows: 1 }], ...options });
  await anAbortFreesAndDisturbsNobody(tight, victim, neighbours.slice(0, 3), [0, 1, 2, 5]);
});

test('an error in a search gives every slot back', async () => {
  const engine = make();
  await anErrorFrees(engine, opening({ peak: 5, guides: [['kind', 1]] }));
});

test('an abort between two calls of a search rejects the next one', async () => {
  const engine = make();
  const abort = new AbortController();
  const gone = within(
    engine,
    opening(),
    async (session) => {
      await advance(session, [session.root], 2);
      abort.abort(new Error('gone'));
      await advance(session, [session.root], 2);
    },
    abort.signal,
  );
  await expect(gone).rejects.toThrow('gone');
  engine.audit();
  expect(engine.load.running).toBe(0);
});

test('rows of all requests meet in one forward pass per model and iteration', async () => {
  const { engine, models } = fakeEngine({ endBias: -100 });
  const asked = Array.from({ length: 16 }, (_, i) =>
    opening({ prompt: ramp(4, i % 3), guides: [['kind', 1]], seed: i, maxTokens: 20 }),
  );
  await Promise.all(asked.map((o) => answer(engine, o, { chunk: 1 })));
  expect(engine.stats.iterations).toBeLessThanOrEqual(22);
  expect(models.policy.work).toMatchObject({ steps: 19, rows: 16 * 19 });
  expect(models.kind.work).toMatchObject({ steps: 19, rows: 16 * 19 });
  expect(engine.stats.forwards).toEqual({ policy: 19, kind: 19 });
});

test('more rows than one iteration takes get equal turns', async () => {
  const { engine } = fakeEngine({ endBias: -100, iterationTokens: 4 });
  const ends: number[] = [];
  const all = Array.from({ length: 8 }, (_, i) =>
    answer(engine, opening({ seed: i, maxTokens: 30 })).then(() =>
      ends.push(engine.stats.iterations),
    ),
  );
  await Promise.all(all);
  expect(Math.max(...ends) - Math.min(...ends)).toBeLessThanOrEqual(2);
});

test('an engine that has been busy for long has nothing left over', async () => {
  const engine = make();
  const asked = mixture();
  for (let round = 0; round < 5; round++) {
    const abort = new AbortController();
    const all = asked.map((o, i) =>
      answer(engine, o, i % 3 === round % 3 ? { signal: abort.signal } : {}).catch(() => null),
    );
    await turns(3 * round);
    abort.abort(new Error('gone'));
    await Promise.all(all);
    engine.audit();
  }
  expect(engine.load).toEqual({ running: 0, waiting: 0, kvUsage: 0 });
  expect(engine.cache.bytes).toBeLessThanOrEqual(1 << 16);
});
