/** What the law says of the tokens of prompts: exact, whoever else is there, and at nobody's cost. */

import { expect, test } from 'vitest';
import type { Opening } from '../../../src/core/engine.ts';
import type { KvRows } from '../../../src/core/model.ts';
import type { Draw } from '../../../src/core/tree.ts';
import type { DecodeEngine } from '../../../src/engine/engine.ts';
import { advance, answer, answerOf, forever, turns, within } from '../../fakes/drive.ts';
import { fakeEngine, opening, VOCAB } from '../../fakes/engine.ts';
import { fakeVocabulary } from '../../fakes/model.ts';
import { ruleFor } from '../../fakes/rule.ts';

const prompt = (length: number, first = 1): number[] =>
  Array.from({ length }, (_, i) => 1 + ((first + i * i) % 26));

const read = (
  engine: DecodeEngine,
  asked: Opening,
  signal: AbortSignal = forever,
): Promise<Draw[]> =>
  within(
    engine,
    asked,
    async (session) => {
      const draws: Draw[] = [];
      await session.readPrompt((more) => draws.push(...more));
      return draws;
    },
    signal,
  );

/** What the engine would have said of the token after each prefix, had it been drawn. */
async function said(asked: Opening, at: number): Promise<Draw> {
  const [first] = asked.lanes;
  const token = first!.prompt[at]!;
  const lanes = asked.lanes.map((lane) => ({ ...lane, prompt: lane.prompt.slice(0, at) }));
  const { engine } = fakeEngine();
  return within(engine, { ...asked, lanes }, async (session) => {
    const next = await session.peek(session.root, VOCAB);
    return next.find((one) => one.token === token)!.draw;
  });
}

const LAWS: readonly (readonly [string, Parameters<typeof opening>[0]])[] = [
  ['the policy alone', { top: 3 }],
  ['guides', { guides: [['kind', 1], ['bold', -0.4]], top: 2 }], // prettier-ignore
  ['guides of which one has no weight', { guides: [['kind', 0], ['bold', 1]] }], // prettier-ignore
  ['guides within a KL bound', { guides: [['kind', 2]], maxKl: 0.1 }],
  ['a steered policy', { steering: [{ vector: 'calm', scale: 1.5 }] }],
  ['a temperature and penalties, which are of answers', { sampling: { temperature: 0.3, repetitionPenalty: 2, topK: 1 }, top: 2 }], // prettier-ignore
];

test.each(LAWS)(
  'a prompt’s log-probs are those its tokens would have had if drawn: %s',
  async (_, ask) => {
    const asked = opening({ prompt: prompt(40), ...ask });
    const free = { ...asked, sampling: { ...asked.sampling, temperature: 1, topK: 0, repetitionPenalty: 1 } }; // prettier-ignore
    const draws = await read(fakeEngine().engine, asked);
    expect(draws.map(({ token }) => token)).toEqual(prompt(40).slice(1));
    for (const at of [2, 3, 17, 39]) expect(draws[at - 1], `token ${at}`).toEqual(await said(free, at)); // prettier-ignore
  },
);

test('a rule is of answers only', async () => {
  const free = opening({ prompt: prompt(12), plausibility: 0.1 });
  const rule = ruleFor(fakeVocabulary(VOCAB), { kind: 'choice', choice: ['ab'] });
  const ruled = await read(fakeEngine().engine, { ...free, rule });
  expect(ruled).toEqual(await read(fakeEngine().engine, free));
  expect(ruled.some(({ logprob }) => logprob === -Infinity)).toBe(true); // implausible, in both
  expect(ruled.some(({ logprob }) => logprob > -Infinity)).toBe(true);
});

test('they are the same alone, in any chunks, in a crowd, and whatever the cache holds', async () => {
  const asked = Array.from({ length: 6 }, (_, i) =>
    opening({ prompt: prompt(20 + 30 * i, i), guides: i % 2 ? [['kind', 1]] : [], top: i }),
  );
  const alone = await Promise.all(asked.map((one) => read(fakeEngine().engine, one)));
  for (const options of [{}, { iterationTokens: 16 }, { prefixBytes: 0, iterationTokens: 200 }]) {
    const { engine } = fakeEngine(options);
    const crowd = asked.map((one) => answer(engine, { ...one, seed: 7n }));
    const all = await Promise.all(asked.map((one) => read(engine, one)));
    all.forEach((draws, i) => expect(draws, `prompt ${i}`).toEqual(alone[i]));
    await Promise.all(crowd);
    expect(await read(engine, asked[3]!)).toEqual(alone[3]);
    engine.audit();
  }
});

test('what follows is the answer that the prompt has anyway, and no token is read twice', async () => {
  const asked = opening({ prompt: prompt(50), guides: [['kind', 1]], maxTokens: 12 });
  const plain = await answer(fakeEngine().engine, asked);
  const { engine } = fakeEngine();
  const after = await within(engine, asked, async (session) => {
    await session.readPrompt(() => undefined);
    await advance(session, [session.root], 12);
    expect(session.spent.guideTokens).toBe(50 + session.root.tokens.length - 1); // the first token needs no step
    return answerOf(session.root);
  });
  expect(after).toEqual(plain);
  expect(engine.stats.prefillTokens).toBe(2 * 50);
  expect(await answer(engine, asked)).toEqual(plain);
  expect(engine.stats.prefillTokens, 'the next one finds it cached').toBe(2 * 50);
});

test('beside those who decode it is read in small chunks, one an iteration', async () => {
  const sizes: number[] = [];
  const watched = watching(sizes);
  const neighbour = answer(
    watched,
    opening({ maxTokens: 40, sampling: { logitBias: [[0, -100]] } }),
  );
  await turns(3);
  const before = watched.stats.iterations;
  await read(watched, opening({ prompt: prompt(230) }));
  expect(Math.max(...sizes)).toBeLessThanOrEqual(64);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(230);
  expect(watched.stats.iterations - before).toBeGreaterThanOrEqual(sizes.length);
  expect((await neighbour).tokens).toHaveLength(40);
  watched.audit();
});

/** An engine whose policy tells how much it reads out at a time. */
function watching(sizes: number[]): DecodeEngine {
  const { models } = fakeEngine();
  const open = models.policy.open.bind(models.policy);
  Object.assign(models.policy, {
    open: (rows: number, length: number): KvRows => {
      const kv = open(rows, length);
      const all = kv.prefillAll.bind(kv);
      kv.prefillAll = (row, tokens, from, steering) => {
        sizes.push(tokens.length);
        return all(row, tokens, from, steering);
      };
      return kv;
    },
  });
  return fakeEngine({ iterationTokens: 200, models: new Map(Object.entries(models)) }).engine;
}

test('a prompt of one token has nothing to say', async () => {
  expect(await read(fakeEngine().engine, opening({ prompt: [5] }))).toEqual([]);
});

test('an abort while it is read gives everything back, and its neighbour does not notice', async () => {
  const beside = opening({ prompt: prompt(30), maxTokens: 20 });
  const plain = await answer(fakeEngine().engine, beside);
  for (const after of [0, 1, 2, 3]) {
    const { engine } = fakeEngine();
    const abort = new AbortController();
    const gone = read(engine, opening({ prompt: prompt(230), peak: 2 }), abort.signal);
    const kept = answer(engine, beside);
    const failed = expect(gone).rejects.toThrow('gone');
    await turns(after);
    abort.abort(new Error('gone'));
    await failed;
    expect(await kept).toEqual(plain);
    engine.audit();
    expect(engine.load).toMatchObject({ running: 0, kvUsage: 0 });
  }
});

test('whoever cannot be told fails alone', async () => {
  const { engine } = fakeEngine();
  const deaf = within(engine, opening({ prompt: prompt(90) }), (session) =>
    session.readPrompt(() => {
      throw new Error('nobody listens');
    }),
  );
  const beside = answer(engine, opening({ maxTokens: 9 }));
  await expect(deaf).rejects.toThrow('nobody listens');
  expect((await beside).finish).not.toBeNull();
  engine.audit();
});
