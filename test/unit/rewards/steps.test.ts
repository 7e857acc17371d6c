import { expect, test } from 'vitest';
import type { Candidate, Steps } from '../../../src/core/reward.ts';
import { stepEnds, stepped } from '../../../src/rewards/steps.ts';
import { candidate, composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const steps = (changes: Partial<Steps> = {}): Steps => ({
  until: ['\n'],
  most: 8,
  transform: null,
  aggregate: 'last',
  ...changes,
});
/** Scores of the steps of a text, by their number. */
const listed = (...scores: number[]) =>
  fakeReward('r', ({ text }) => scores[text.split('\n').filter(Boolean).length - 1]!);
const TEXT = 'one\ntwo\nthree\nfour';

test('a text is cut after each delimiter, into so many steps at most', () => {
  const parts = (text: string, most = 8, until = ['\n']): string[] => {
    let from = 0;
    return stepEnds(text, { until, most }).map((end) => text.slice(from, (from = end)));
  };
  expect(parts(TEXT)).toEqual(['one\n', 'two\n', 'three\n', 'four']);
  expect(parts('a\nb\n')).toEqual(['a\n', 'b\n']);
  expect(parts(TEXT, 2)).toEqual(['one\n', 'two\nthree\nfour']);
  expect(parts(TEXT, 1)).toEqual([TEXT]);
  expect(parts('')).toEqual(['']);
  expect(parts('a. b! c', 8, ['. ', '! '])).toEqual(['a. ', 'b! ', 'c']);
});

test('each step is judged with what came before it; only the last may be complete', async () => {
  const inner = fakeReward('r', ({ text }) => text.length);
  const [score] = await stepped('m', inner, steps()).score([candidate('a\nbc\nd')]);
  const seen = inner.batches[0]!.map(({ text, complete }: Candidate) => [text, complete]);
  expect(seen).toEqual([
    ['a\n', false],
    ['a\nbc\n', false],
    ['a\nbc\nd', true],
  ]);
  expect(score).toMatchObject({ value: 6, steps: { m: [2, 5, 6] } });
});

test('steps come to their minimum, last, product, mean or sum', async () => {
  const value = async (aggregate: Steps['aggregate'], ...scores: number[]) =>
    (await stepped('m', listed(...scores), steps({ aggregate })).score([candidate(TEXT)]))[0]!
      .value;
  expect(await value('min', 3, 1, 2, 4)).toBe(1);
  expect(await value('last', 3, 1, 2, 4)).toBe(4);
  expect(await value('prod', 3, 1, 2, 4)).toBe(24);
  expect(await value('mean', 3, 1, 2, 4)).toBe(2.5);
  expect(await value('sum', 3, 1, 2, 4)).toBe(10);
  for (const kind of ['min', 'last', 'prod', 'mean', 'sum'] as const)
    expect(await value(kind, 3, NaN, 2, 4)).toBeNaN();
});

test('delta telescopes to the first step, so that repeating a good step earns nothing', async () => {
  const plan = (transform: Steps['transform']) =>
    sumOf(use('r', { steps: steps({ transform, aggregate: 'sum' }) }));
  const models = loaded(listed(5, 3, 2, 9));
  const [delta] = await composed(plan({ kind: 'delta' }), models).score([candidate(TEXT)]);
  expect(delta).toMatchObject({ value: 5, parts: { r: 5 }, steps: { r: [2, 1, 2, 0] } });
  const [clip] = await composed(plan({ kind: 'clip', eta: 3 }), models).score([candidate(TEXT)]);
  expect(clip).toMatchObject({ value: -1, steps: { r: [0, 0, -1, 0] } });
});

test('a batch of texts with any number of steps keeps its order', async () => {
  const inner = fakeReward('r', ({ text }) => text.length);
  const texts = ['', 'a', 'a\nb', 'x\ny\nz\n'];
  const scores = await stepped('m', inner, steps()).score(texts.map((text) => candidate(text)));
  expect(scores.map(({ value }) => value)).toEqual([0, 1, 3, 6]);
});

test('vector fine_grained_total: relevance by clause, facts by sentence, completeness once', async () => {
  interface FineGrained {
    readonly relevance_per_subsentence: number[];
    readonly factuality_per_sentence: number[];
    readonly completeness_raw: number;
    readonly completeness_mean: number;
    readonly completeness_std: number;
    readonly scale: number;
    readonly weights: [number, number, number];
  }
  const { input, expected } = vectorCase<FineGrained, { completeness: number; total: number }>(
    'personal_multi.json',
    'fine_grained_total',
  );
  const text = 'one, two. three.'; // three clauses, two sentences
  const count = (part: string, marks: RegExp): number => part.match(marks)!.length - 1;
  const models = loaded(
    fakeReward('relevance', (c) => input.relevance_per_subsentence[count(c.text, /[,.]/g)]!),
    fakeReward('facts', (c) => input.factuality_per_sentence[count(c.text, /\./g)]!),
    fakeReward('completeness', () => input.completeness_raw),
  );
  const [relevance, facts, completeness] = input.weights;
  const each = (...until: string[]) => ({ steps: steps({ until, aggregate: 'sum' }) });
  const whole = {
    weight: completeness * input.scale,
    scale: { mean: input.completeness_mean, std: input.completeness_std },
  };
  const mixed = [
    use('relevance', { ...each(',', '.'), weight: relevance }),
    use('facts', { ...each('.'), weight: facts }),
    use('completeness', whole),
  ];
  const value = async (...uses: typeof mixed): Promise<number> =>
    (await composed(sumOf(...uses), models).score([candidate(text)]))[0]!.value;
  expect(await value(...mixed)).toBeCloseTo(expected.total, 9);
  expect(await value(mixed[2]!)).toBeCloseTo(expected.completeness, 9);
});
