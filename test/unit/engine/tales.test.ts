/** The engine on the default pack's real weights: the promises that fakes can only assume. */

import { expect, test } from 'vitest';
import type { Opening } from '../../../src/core/engine.ts';
import type { Sampling } from '../../../src/core/tree.ts';
import { advance, answer, answerOf, within } from '../../fakes/drive.ts';
import { opening, PLAIN } from '../../fakes/engine.ts';
import { talesCodec, talesEngine } from '../../fakes/models.ts';
import { sameSeedSameAnswer } from '../../laws/engine.ts';

const GUIDES = ['arm-happy', 'arm-happy-small', 'arm-kind'];
const STORY = 'Once upon a time, there was a little girl named Emma. She had a red kite. ';

interface Ask extends Partial<Opening> {
  readonly text?: string;
  readonly guides?: readonly (readonly [model: string, weight: number])[];
  readonly draw?: Partial<Sampling>;
}

/** A request to the policy `tales`; guides read the same prompt. */
function ask({ text = STORY, guides = [], draw = {}, ...changes }: Ask = {}): Opening {
  const prompt = talesCodec().prompt(text);
  const asked = opening({ guides, maxTokens: 16, top: 2 });
  return {
    ...asked,
    lanes: ['tales', ...guides.map(([model]) => model)].map((model) => ({ model, prompt })),
    sampling: { ...PLAIN, ...draw },
    ...changes,
  };
}

function mixture(): Opening[] {
  return Array.from({ length: 18 }, (_, i) =>
    ask({
      text: STORY.repeat(1 + (i % 4)).slice(0, [0, 1, 9, 40, 300, 1000][i % 6]),
      guides:
        i % 3 === 0
          ? []
          : [[GUIDES[i % 3]!, 1], ...(i % 4 === 0 ? [] : [['arm-kind', 0.5] as const])],
      draw: [{}, { temperature: 0.7, topP: 0.95 }, { temperature: 0 }, { topK: 40 }][i % 4]!,
      maxTokens: 6 + i,
      seed: BigInt(i),
      choice: i % 2,
      ...(i % 5 === 1 && i % 3 !== 0
        ? { guidance: { ...ask({ guides: [['arm-happy', 1]] }).guidance, maxKl: 0.05 } }
        : {}),
    }),
  );
}

test('same seed, same text and log-probs: alone, in a crowd, with and without a cache, in other pools', async () => {
  await sameSeedSameAnswer(talesEngine, mixture(), [
    {},
    { prefixBytes: 0, iterationTokens: 80 },
    {
      classes: [
        { length: 320, rows: 3 },
        { length: 384, rows: 5 },
      ],
    },
  ]);
}, 120_000);

test('a weight of 0 is the unguided answer, bit for bit', async () => {
  const engine = talesEngine();
  const plain = await answer(engine, ask());
  const idle = await answer(engine, ask({ guides: [['arm-happy', 0]] }));
  expect(idle.tokens).toEqual(plain.tokens);
  expect(idle.logprob).toBe(plain.logprob);
  expect(plain.base).toBe(plain.logprob);
  expect(engine.stats.forwards).not.toHaveProperty('arm-happy');
});

test('guides explain what they did: sum of weight * guide - log Z = guided - base', async () => {
  const { draws, logZ, logprob, base } = await answer(
    talesEngine(),
    ask({
      guides: [
        ['arm-happy', 1],
        ['arm-kind', -0.3],
      ],
      maxTokens: 40,
    }),
  );
  const bent = draws.reduce((sum, { guides: [a, b] }) => sum + a! - 0.3 * b!, 0);
  expect(bent - logZ).toBeCloseTo(logprob - base, 3);
});

test('no special token is ever drawn, however hot', async () => {
  const engine = talesEngine();
  const hot = ask({ draw: { temperature: 10 }, maxTokens: 60, guides: [['arm-happy', 0.1]] });
  const { banned } = talesCodec().vocabulary;
  for (let seed = 0; seed < 4; seed++) {
    const { tokens } = await answer(engine, { ...hot, seed: BigInt(seed) });
    expect(tokens.filter((token) => banned.includes(token))).toEqual([]);
  }
});

test('twins forked before the prompt was read, after it and in mid-answer go on as the same twins', async () => {
  const engine = talesEngine();
  const wide = ask({ guides: [['arm-happy-small', 1]], peak: { least: 3, most: 3 } });
  for (const before of [0, 4]) {
    const run = (): Promise<unknown> =>
      within(engine, wide, async (session) => {
        await advance(session, [session.root], before);
        const all = session.fork(session.root, 3);
        await advance(session, all, 20);
        return all.map(answerOf);
      });
    const first = await run();
    expect(await Promise.all([run(), run(), run()])).toEqual([first, first, first]);
  }
});
