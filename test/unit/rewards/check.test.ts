import { expect, test } from 'vitest';
import type { RewardSource } from '../../../src/core/reward.ts';
import { lengthReward, repetitionReward } from '../../../src/rewards/length.ts';
import { numberCheck, schemaCheck } from '../../../src/rewards/check.ts';
import { composed, candidate, loaded, sumOf, use } from '../../fakes/reward.ts';

type Of<K> = Extract<RewardSource, { kind: K }>;
const checked = async (source: Of<'number'> | Of<'schema'>, ...texts: string[]) => {
  const reward = source.kind === 'number' ? numberCheck(source) : schemaCheck(source);
  return (await reward.score(texts.map((text) => candidate(text)))).map(({ value }) => value);
};

test('a number is right however it is written, and only as the answer', async () => {
  const last = { kind: 'number', answer: '44', extract: { extract: 'last_number' } } as const;
  const right = ['so 44.', '12 + 32 = 44.0', 'forty-four: 044', '1, 2, 44'];
  const wrong = ['44 or 45', '440', '', 'none', '4 4', '-44', '44.5'];
  expect(await checked(last, ...right)).toEqual(right.map(() => 1));
  expect(await checked(last, ...wrong)).toEqual(wrong.map(() => 0));
  const boxed = { extract: 'regex', pattern: 'boxed' } as const;
  const both = ['\\boxed{1,044}', '\\boxed{1044 apples}', '1044'];
  expect(await checked({ ...last, answer: '1044', extract: boxed }, ...both)).toEqual([1, 0, 0]);
  const pointer = { extract: 'json_pointer', pointer: '/sum' } as const;
  const json = ['{"sum": 44}', '{"sum": "44"}', '{"sum": [44]}', `{"sum": "${'4'.repeat(1e5)}"}`];
  expect(await checked({ ...last, extract: pointer }, ...json)).toEqual([1, 1, 0, 0]);
});

test('numbers beyond a double are told apart by their digits', async () => {
  const source = {
    kind: 'number',
    answer: '9007199254740993',
    extract: { extract: 'last_number' },
  } as const;
  expect(await checked(source, '9007199254740993', '9007199254740992')).toEqual([1, 0]);
});

test('a text fits a schema as a whole, or not', async () => {
  const schema = {
    type: 'object',
    properties: { name: { type: 'string', minLength: 1 }, n: { type: 'integer', maximum: 9 } },
    required: ['name'],
    additionalProperties: false,
  };
  const right = ['{"name": "Ida"}', ' {"name": "Ida", "n": 9}\n'];
  const wrong = ['{"name": ""}', '{"n": 1}', '{"name": "a", "n": 1.5}', '{"name": "a", "x": 1}'];
  const none = ['', 'null', 'Here: {"name": "Ida"}', '{"name": "Ida"', '['.repeat(1e5)];
  expect(await checked({ kind: 'schema', schema }, ...right)).toEqual([1, 1]);
  expect(await checked({ kind: 'schema', schema }, ...wrong, ...none)).toEqual(
    [...wrong, ...none].map(() => 0),
  );
  const inherited = { type: 'object', properties: { constructor: { type: 'string' } } };
  expect(await checked({ kind: 'schema', schema: inherited }, '{}')).toEqual([1]);
});

test('length and repetition are terms of a mix', async () => {
  const lengths = async (mode: 'linear' | 'over' | 'ratio') =>
    (
      await lengthReward({ kind: 'length', mode, target: 4 }).score(
        [2, 4, 6].map((n) => candidate('', { tokens: Array.from({ length: n }, (_, i) => i) })),
      )
    ).map(({ value }) => value);
  expect(await lengths('linear')).toEqual([-2, -4, -6]);
  expect(await lengths('over')).toEqual([0, 0, -2]);
  expect(await lengths('ratio')).toEqual([0.5, 1, 1]);
  const tokens = [1, 1, 1, 1, 1];
  const [repeated] = await repetitionReward().score([candidate('', { tokens })]);
  expect(repeated!.value).toBeCloseTo(2 / 3, 12);
  const mix = sumOf(
    use('short', { source: { kind: 'length', mode: 'over', target: 3 }, weight: 0.5 }),
    use('again', { source: { kind: 'repetition' }, weight: -3 }),
  );
  const [score] = await composed(mix, loaded()).score([candidate('', { tokens })]);
  expect(score!.value).toBeCloseTo(-3, 12);
  expect(score!.parts).toEqual({ short: -2, again: expect.closeTo(2 / 3) as number });
});
