/** Classifiers that other tools exported, as rewards: what they read, which label they say, and what is refused. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readCodec } from '../../../../src/codecs.ts';
import { describeModel } from '../../../../src/model_folder.ts';
import { scalarHead } from '../../../../src/rewards/scalar_head.ts';
import { loadClassifier } from '../../../../src/runtime/exports/classifier.ts';
import { cpu } from '../../../../src/runtime/devices/device.ts';
import { graph } from '../../../../src/runtime/onnx/graph.ts';
import { classifierFolder, tokenSays, type ClassifierFake } from '../../../fakes/exports.ts';
import { closing, testOrt } from '../../../fakes/ort.ts';
import { candidate } from '../../../fakes/reward.ts';
import { sentencePieceBpe, wordPiece } from '../../../fakes/tokenizers.ts';
import { idleTurns } from '../../../fakes/turns.ts';

const PAIRS: ClassifierFake = { labels: 1, files: wordPiece(), more: ['token_type_ids'] };
const TEXTS: ClassifierFake = { labels: 1, files: sentencePieceBpe(), more: ['position_ids'] };
const PROMPT = 'the cat?';
const ANSWERS = ['the cat plays', 'a', '', 'playing [SEP] the [CLS] cat', 'the '.repeat(80)];

/** What the served reward says of the answers, and what the fake's own arithmetic does. */
async function scoresOf(folder: string, asked: { label?: string } = {}) {
  const manifest = describeModel({ path: folder, role: 'reward', ...asked });
  const codec = readCodec(folder, manifest.layout);
  const model = closing(loadClassifier(cpu(testOrt()), folder, 'rm', asked));
  const turns = idleTurns();
  const reward = scalarHead({ model, codec, reads: 'complete', runTokens: 64, turns });
  const batch = ANSWERS.map((text) =>
    candidate(text, { readings: { rm: codec.prompt(PROMPT) }, complete: true }),
  );
  const said = (await reward.score(batch)).map(({ value }) => value);
  for (const [i, one] of batch.entries())
    expect((await reward.score([one]))[0]!.value).toBe(said[i]);
  const sums = (label: number, weigh: (at: number, prompt: number) => number): number[] =>
    ANSWERS.map((text) => {
      const prompt = codec.prompt(PROMPT);
      const all = [...prompt, ...codec.encode(text), ...codec.closing(true)];
      if (all.length > model.context) return NaN;
      return all.reduce((sum, id, at) => sum + weigh(at, prompt.length) * tokenSays(id, label), 0);
    });
  return { manifest, said, sums };
}

const expectClose = (said: readonly number[], expected: readonly number[], digits = 4): void =>
  said.forEach((value, i) =>
    Number.isNaN(expected[i]!)
      ? expect(value).toBeNaN()
      : expect(value).toBeCloseTo(expected[i]!, digits),
  );

test('an encoder reads a prompt and an answer as a pair, the second text by its type', async () => {
  const { manifest, said, sums } = await scoresOf(classifierFolder(PAIRS));
  expect(manifest).toMatchObject({ head: 'scalar', layout: 'pair_classifier', whole: true });
  expect(manifest.limits?.join()).toMatch(
    /one by one, whole,a prompt and an answer are read as a pair/,
  );
  expectClose(
    said,
    sums(0, (at, prompt) => (at < prompt ? 1 : 2)),
  );
  expect(said.at(-1)).toBeNaN(); // longer than its tokenizer was made for
});

test('a decoder reads an answer on from its prompt, each token at its position; halves are read as floats', async () => {
  const { manifest, said, sums } = await scoresOf(classifierFolder(TEXTS));
  expect(manifest).toMatchObject({ head: 'scalar', layout: 'classifier' });
  expectClose(
    said,
    sums(0, (at) => at + 1),
    3,
  );
  const halves = await scoresOf(classifierFolder({ ...PAIRS, halves: true }));
  expectClose(
    halves.said,
    halves.sums(0, (at, prompt) => (at < prompt ? 1 : 2)),
    1,
  );
});

test('of several labels one is said: its log odds, its chance, or its logit, as the problem has it', async () => {
  const config = { id2label: { 0: 'bad', 1: 'fair', 2: 'good' } };
  const three: ClassifierFake = { ...PAIRS, labels: 3, config };
  const twice = (at: number, prompt: number): number => (at < prompt ? 1 : 2);
  expect(() => describeModel({ path: classifierFolder(three), role: 'reward' })).toThrow(
    'the head has labels 0 (bad), 1 (fair), 2 (good): say with models.NAME.label which one is the score',
  );
  const { said, sums, manifest } = await scoresOf(classifierFolder(three), { label: 'good' });
  expect(manifest.limits?.at(-1)).toBe(
    'its score is label 2 (good): its log odds against all others',
  );
  const [bad, fair, good] = [0, 1, 2].map((label) => sums(label, twice));
  const odds = good!.map((x, i) => x - Math.log(Math.exp(bad![i]!) + Math.exp(fair![i]!)));
  expectClose(said, odds, 3);
  const says = async (problem_type: string) =>
    (
      await scoresOf(classifierFolder({ ...three, config: { ...config, problem_type } }), {
        label: '2',
      })
    ).said;
  expectClose(await says('regression'), good!);
  expectClose(
    await says('multi_label_classification'),
    good!.map((x) => 1 / (1 + Math.exp(-x))),
  );
});

test('what cannot be is refused by its name: a label, a role, an input, a config, a damaged graph', () => {
  const describe = (changes: Partial<ClassifierFake>, more: object = {}) =>
    describeModel({ path: classifierFolder({ ...PAIRS, ...changes }), role: 'reward', ...more });
  expect(() => describe({}, { label: 'nice' })).toThrow(
    'models.NAME.label is nice; the head has labels 0 (LABEL_0)',
  );
  expect(() => describe({}, { role: 'policy' })).toThrow(
    'its role can be reward or value, given policy',
  );
  expect(() => describe({ more: ['pixel_values'] })).toThrow(
    /model_quantized\.onnx.*its input pixel_values is not supported/,
  );
  expect(() => describe({ config: { vocab_size: null } })).toThrow(
    /config\.json: vocab_size is null/,
  );
  expect(() => describe({ config: { problem_type: 'ranking' } })).toThrow(
    /problem_type is "ranking"/,
  );
  const folder = classifierFolder(PAIRS);
  const g = graph('no numbers');
  g.input('input_ids', 'int64', ['b', 's']);
  g.output('logits', g.initializer('none', [1, 1], Float32Array.of(NaN)), 'float32', ['b', 1]);
  writeFileSync(join(folder, 'onnx', 'model_quantized.onnx'), g.bytes());
  expect(() => loadClassifier(cpu(testOrt()), folder, 'rm', {})).toThrow(
    /model_quantized\.onnx is no classifier of texts: its score is not a number/,
  );
});
