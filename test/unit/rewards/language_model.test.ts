/** Rewards in which a language model judges: their arithmetic on scripted log-probs, and what they ask. */

import { describe, expect, test, vi } from 'vitest';
import type { AskedText } from '../../../src/core/model.ts';
import type { JudgeQuestion, RewardSource } from '../../../src/core/reward.ts';
import { scoreCache } from '../../../src/rewards/cached.ts';
import { followUp } from '../../../src/rewards/follow_up.ts';
import { calibrated } from '../../../src/core/self_evaluation.ts';
import { judge } from '../../../src/rewards/judge.ts';
import { likelihood } from '../../../src/rewards/likelihood.ts';
import { ratio, stepEnds } from '../../../src/rewards/ratio.ts';
import { reader } from '../../../src/rewards/reader.ts';
import { opened } from '../../../src/rewards/sources.ts';
import { SlowReward } from '../../../src/rewards/timed.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { candidate } from '../../fakes/reward.ts';
import { fakeReader, fakeTextModel, type Opinion } from '../../fakes/text_model.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';
import { idleTurns } from '../../fakes/turns.ts';

const PROMPT = [0, 9, 9];
const by = { model: 'lm', reading: 'lm' };
const answered = (text: string, changes = {}) =>
  candidate(text, { readings: { lm: PROMPT, plus: PROMPT, minus: [0, 7] }, ...changes });

/** Says these of a text's tokens after the prompt, in turn. */
const scripted = (logProbs: readonly number[], from = PROMPT.length) =>
  fakeReader(fakeTextModel('lm', (_, { after }) => logProbs[after + 1 - from]!));

describe('likelihood', () => {
  test('is the sum, or the mean, of the answer’s log-probs, its end token included', async () => {
    const reader = scripted([-1, -2, -0.5]);
    const score = async (aggregate: 'sum' | 'mean', complete: boolean) => {
      const reward = likelihood(reader, { kind: 'likelihood', by, aggregate });
      return (await reward.score([answered('ab', { complete })]))[0];
    };
    expect(await score('sum', true)).toEqual({ value: -3.5, parts: {}, tokens: 6 });
    expect(await score('sum', false)).toMatchObject({ value: -3, tokens: 5 });
    expect((await score('mean', true))!.value).toBeCloseTo(-3.5 / 3, 6);
    const reward = likelihood(reader, { kind: 'likelihood', by, aggregate: 'mean' });
    expect((await reward.score([answered('', { complete: false })]))[0]!.value).toBe(0);
  });

  test('of a first token of all is not asked for, and of what is too long not given', async () => {
    const reward = likelihood(fakeReader(fakeTextModel('lm', () => -1, 8)), {
      kind: 'likelihood',
      by,
      aggregate: 'sum',
    });
    const scores = await reward.score([
      answered('abc', { readings: { lm: [] } }),
      answered('too long for it'),
    ]);
    expect(scores.map(({ value }) => value)).toEqual([-3, NaN]);
  });
});

describe('density ratios, as the vectors have them', () => {
  const FILE = 'implicit_reward.json';
  const { input, expected } = vectorCase<
    { logp_plus: number[]; logp_minus: number[]; beta: number },
    Record<string, number & number[]>
  >(FILE, 'token_seq_step_rewards');
  /** Tokens x; the delimiter ends the step where the vector's does: after the second token. */
  const answer = answered('x.xx', { complete: false });

  const value = async (changes: Partial<Extract<RewardSource, { kind: 'ratio' }>>) => {
    const reward = ratio(scripted(input.logp_plus), scripted(input.logp_minus, 2), {
      kind: 'ratio',
      plus: { model: 'a', reading: 'plus' },
      minus: { model: 'b', reading: 'minus' },
      beta: input.beta,
      aggregate: 'sum',
      delimiters: null,
      sigmoid: false,
      ...changes,
    });
    return (await reward.score([answer]))[0]!.value;
  };
  // What crosses from the models is float32.
  const near = 6;

  test('over the whole answer', async () => {
    expect(await value({})).toBeCloseTo(expected['sequence_sum']!, near);
    expect(await value({ aggregate: 'mean' })).toBeCloseTo(expected['length_mean']!, near);
    expect(await value({ sigmoid: true })).toBeCloseTo(expected['sigmoid_of_sum']!, near);
    const decayed = await value({ aggregate: 'decay', beta: 1 });
    expect(decayed).toBeCloseTo(expected['treebon_weighted_1_over_k']!, near);
  });

  test('token by token, where a member is to tell them', async () => {
    const reward = ratio(scripted(input.logp_plus), scripted(input.logp_minus, 2), {
      kind: 'ratio',
      plus: { model: 'a', reading: 'plus' },
      minus: { model: 'b', reading: 'minus' },
      beta: input.beta,
      aggregate: 'mean',
      delimiters: null,
      sigmoid: true,
      tell: 'r',
    });
    const [score] = await reward.score([answer]);
    const told = score!.byToken!['r']!;
    expect(told.map(({ token }) => token)).toEqual(['x', '.', 'x', 'x']);
    expect(told.map(({ id }) => id)).toEqual(byteCodec.encode('x.xx'));
    told.forEach((one, t) => expect(one.score).toBeCloseTo(expected['token']![t]!, near));
  });

  test('over steps', async () => {
    const steps = { delimiters: ['.'] };
    const [first, second] = expected['step_single']!;
    expect(await value({ ...steps, aggregate: 'min' })).toBeCloseTo(expected['min_single']!, near);
    expect(await value({ ...steps, aggregate: 'sum' })).toBeCloseTo(expected['sum_single']!, near);
    expect(await value({ ...steps, aggregate: 'last' })).toBeCloseTo(second!, near);
    expect(await value({ ...steps, aggregate: 'mean' })).toBeCloseTo((first! + second!) / 2, near);
    const product = [first!, second!].reduce((all, r) => all / (1 + Math.exp(-r)), 1);
    expect(await value({ ...steps, aggregate: 'prod' })).toBeCloseTo(product, near);
  });
});

test.each([
  ['a\nbb\nc', ['\n'], [1, 4, 6]], // the end token belongs to the last step
  ['a\nbb\n', ['\n'], [1, 5]],
  ['no step', ['\n'], [7]],
  ['a. b! c', ['. ', '! '], [2, 5, 7]],
  ['aXYb', ['XY'], [2, 4]],
  ['', ['\n'], [0]],
])('the steps of %j end at %j', (text, delimiters, ends) => {
  expect(stepEnds([...byteCodec.encode(text), 0], byteCodec, delimiters)).toEqual(ends);
});

const JUDGES: readonly RewardSource[] = [
  { kind: 'likelihood', by, aggregate: 'sum' },
  {
    kind: 'judge',
    by,
    questions: [{ asks: [50], labels: [1, 2], values: [1, 0] }],
    critique: null,
    calibration: null,
    reads: 'prefix',
  },
];

test.each(JUDGES)(
  'a $kind whose model hangs is waited for only so long, and is not asked later',
  async (source) => {
    const turns = idleTurns();
    let end = (): void => undefined;
    const hanging = new Promise<void>((resolve) => (end = resolve));
    void turns.run(() => hanging); // what comes before it
    const model = fakeTextModel('lm', () => -1);
    const lm = reader({ model, codec: byteCodec, runTokens: 64, turns, timeoutMs: 20 });
    const loaded = {
      models: new Map(),
      personal: new Map(),
      remotes: new Map(),
      now: () => 0,
      readers: new Map([['lm', lm]]),
      writers: new Map(),
      cache: scoreCache(1 << 20),
    };
    await expect(opened(source, loaded).score([answered('ab')])).rejects.toThrow(SlowReward);
    end();
    await turns.run(() => undefined); // after all that waited
    expect(model.runs).toEqual([]);
  },
);

test('a follow-up is likely by the mean of its tokens, the positive lines against the negative', async () => {
  const { input, expected } = vectorCase<
    { positive_followup_token_logps: number[][]; negative_followup_token_logps: number[][] },
    { flr: number; mean_pos: number; mean_neg: number }
  >('pairwise_judge.json', 'follow_up_likelihood');
  const sides = [input.positive_followup_token_logps, input.negative_followup_token_logps] as const;
  const said = new Map<string, number[]>();
  const [positive, negative] = sides.map((lines, side) =>
    lines.map((logProbs, i) => {
      const line = `${side}${i}`.padEnd(logProbs.length, 'x').slice(-logProbs.length);
      const name = String.fromCharCode(97 + side * 2 + i) + line.slice(1);
      said.set(name, logProbs);
      return byteCodec.turn(name);
    }),
  );
  const asked: AskedText[] = [];
  const opinion: Opinion = (text, { after }) => {
    asked.push(text);
    const line = byteCodec.decode(text.tokens.slice(PROMPT.length + 3)); // "ab" and the user's mark
    return said.get(line)![after + 1 - (PROMPT.length + 3)]!;
  };
  const value = async (up = positive!, down = negative!) => {
    const source = {
      kind: 'follow_up',
      by,
      positive: up,
      negative: down,
      reads: 'complete',
    } as const;
    const reward = followUp(fakeReader(fakeTextModel('lm', opinion)), source);
    return (await reward.score([answered('ab')]))[0]!.value;
  };
  expect(await value()).toBeCloseTo(expected.flr, 6);
  expect(await value(positive, [])).toBeCloseTo(expected.mean_pos, 6);
  expect(await value([], negative)).toBeCloseTo(-expected.mean_neg, 6);
  expect(asked[0]!.tokens.slice(0, 6)).toEqual([...PROMPT, ...byteCodec.encode('ab'), 2]);
});

describe('a judge', () => {
  const FILE = 'pairwise_judge.json';
  const question = (asks: number[], values: number[]): JudgeQuestion => ({
    asks,
    labels: values.map((_, i) => 100 + i),
    values,
  });
  /** A judge that says `logits[asks][label]`. */
  const judged = async (
    logits: Record<number, readonly number[]>,
    questions: readonly JudgeQuestion[],
    calibration: { scale: number; shift: number } | null = null,
  ) => {
    const opinion: Opinion = ({ tokens }, { token }) => logits[tokens.at(-1)!]![token - 100]!;
    const source = {
      kind: 'judge',
      by,
      questions,
      critique: null,
      calibration,
      reads: 'complete',
    } as const;
    return (
      await judge(fakeReader(fakeTextModel('lm', opinion)), null, source).score([answered('a')])
    )[0]!.value;
  };

  test('says yes by the difference of two log-probs', async () => {
    const { input, expected } = vectorCase<
      { logit_yes: number; logit_no: number },
      { p_yes: number }
    >(FILE, 'yes_no_score');
    const logits = { 50: [input.logit_yes, input.logit_no] };
    expect(await judged(logits, [question([50], [1, 0])])).toBeCloseTo(expected.p_yes, 6);
  });

  test('loses its bias for a place when it is asked in both orders', async () => {
    const { input, expected } = vectorCase<
      { p_first_wins_order_AB: number; p_first_wins_order_BA: number },
      { p_A_beats_B: number }
    >(FILE, 'position_debias');
    const says = (p: number) => [Math.log(p), Math.log(1 - p)];
    const logits = {
      50: says(input.p_first_wins_order_AB),
      51: says(input.p_first_wins_order_BA),
    };
    const both = [question([50], [1, 0]), question([51], [0, 1])];
    expect(await judged(logits, both)).toBeCloseTo(expected.p_A_beats_B, 6);
  });

  test('rates by expectation over the ratings it may give', async () => {
    const logits = { 50: [Math.log(0.1), Math.log(0.1), Math.log(0.2)] };
    expect(await judged(logits, [question([50], [1, 2, 3])])).toBeCloseTo(2.25, 6);
    expect(await judged({ 50: [-1e4, -1e4 - 1] }, [question([50], [1, 0])])).toBeCloseTo(0.731, 3);
  });

  test('may be calibrated', async () => {
    const logits = { 50: [0.4, -0.4] };
    const value = await judged(logits, [question([50], [1, 0])], { scale: 2, shift: -0.6 });
    expect(value).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
    expect([calibrated(0, { scale: 2, shift: 3 }), calibrated(1, { scale: 2, shift: 3 })]).toEqual([
      0, 1,
    ]);
  });
});

test('the tolerance of the vectors is below float32', () => {
  expect(vectors('pairwise_judge.json').tolerance).toBeLessThan(1e-6);
});

describe('what readers are asked', () => {
  const asking = (model = fakeTextModel()) => ({ model, reader: fakeReader(model, 20) });
  const text = (length: number, first = 1): AskedText => ({
    tokens: Array.from({ length }, (_, i) => first + i),
    picks: [{ after: length - 1, token: 3 }],
  });

  test('within one turn shares runs of at most their tokens', async () => {
    const { model, reader } = asking();
    const texts = [3, 9, 5, 28, 4].map((length) => text(length));
    const [some, others] = await Promise.all([
      reader.ask(texts.slice(0, 2)),
      reader.ask(texts.slice(2)),
    ]);
    expect(model.runs).toEqual([[28], [9, 5], [4, 3]]);
    const alone = await Promise.all(
      texts.map(async (one) => (await asking().reader.ask([one]))[0]),
    );
    expect([...some, ...others]).toEqual(alone);
  });

  test('that fails one caller fails no other', async () => {
    const opinion: Opinion = ({ tokens }) => {
      if (tokens[0] === 99) throw new Error('cannot read it');
      return -1;
    };
    const { reader } = asking(fakeTextModel('lm', opinion));
    const [good, bad] = await Promise.allSettled([
      reader.ask([text(3)]),
      reader.ask([text(3, 99)]),
    ]);
    expect(good).toMatchObject({ status: 'fulfilled', value: [Float32Array.of(-1)] });
    expect(bad).toMatchObject({ status: 'rejected', reason: new Error('cannot read it') });
  });

  test('before is remembered, for the same question only', async () => {
    const model = fakeTextModel();
    const logProbs = vi.spyOn(model, 'logProbs');
    const loaded = {
      models: new Map(),
      readers: new Map([['lm', fakeReader(model)]]),
      writers: new Map(),
      cache: scoreCache(1 << 16),
      personal: new Map(),
      remotes: new Map(),
      now: () => 0,
    };
    const source = { kind: 'likelihood', by, aggregate: 'sum' } as const;
    const [first] = await opened(source, loaded).score([answered('ab')]);
    const [again] = await opened({ ...source }, loaded).score([answered('ab')]);
    expect(again).toEqual({ value: first!.value, parts: {} });
    expect(logProbs).toHaveBeenCalledTimes(1);
    await opened({ ...source, aggregate: 'mean' }, loaded).score([answered('ab')]);
    await opened(source, loaded).score([answered('ab', { readings: { lm: [0, 1] } })]);
    expect(logProbs).toHaveBeenCalledTimes(3);
  });
});
