/** A verifier's head: right against the definition, blind to what is not the answer, the same bits in any batch. */

import { expect, test } from 'vitest';
import { openCheckpoint, scores, session, tokens } from './checkpoint.ts';
import { add, frequencies, silu, times } from './families/arithmetic.ts';
import { llamaShapes, llamaStates, SIZES, sizeKeys } from './families/llama_like.ts';
import { publish, type Config, type Vector } from './families/published.ts';

const [WIDTH, INNER, OPENS] = [32, 32, 305];
const ODD = { ...SIZES, vocab: 309 }; // no multiple of what a kernel takes at once
const config: Config = {
  architectures: ['PolicyVerifier'],
  model_type: 'llama',
  ...sizeKeys(ODD),
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  tie_word_embeddings: true,
  evidence_head: { width: WIDTH, inner: INNER, opens: OPENS },
};
const shapes = {
  ...Object.fromEntries(
    Object.entries(llamaShapes(ODD)).filter(([name]) => name !== 'lm_head.weight'),
  ),
  'evidence.state.weight': [WIDTH, SIZES.hidden],
  'evidence.state.bias': [WIDTH],
  'evidence.surprise.weight': [WIDTH, 4],
  'evidence.mix.weight': [INNER, 2 * WIDTH],
  'evidence.mix.bias': [INNER],
  'evidence.score.weight': [1, INNER],
  'evidence.score.bias': [1],
};
const { folder, tensors } = publish(config, shapes);
const checkpoint = openCheckpoint(folder, { role: 'reward' });
const answerAfter = (prompt: number, answer: number, seed: number): number[] => [
  ...tokens(prompt, seed),
  OPENS,
  ...tokens(answer, seed + 7),
];
const rows = [
  tokens(6, 4),
  ...Array.from({ length: 24 }, (_, i) => answerAfter(1 + (i % 7), i, i)),
];

function expected(row: readonly number[]): number {
  const definition = { epsilon: 1e-5, frequencies: frequencies(10000, 16) };
  const states = llamaStates(tensors, ODD, definition, row);
  const laws = states.map((x) => logSoftmax(times(tensors.matrix('model.embed_tokens.weight'), x)));
  const part = (name: string, x: Vector): Vector =>
    add(
      times(tensors.matrix(`evidence.${name}.weight`), x),
      tensors.vector(`evidence.${name}.bias`),
    );
  let [x, sum]: [Vector, Vector] = [Array(WIDTH).fill(0), Array(WIDTH).fill(0)];
  let total = 0;
  const begins = row.indexOf(OPENS);
  row.forEach((token, t) => {
    if (begins < 0 || t < begins) return;
    const law = laws[t - 1]!;
    const logp = Math.max(law[token]!, -8);
    total += logp;
    const entropy = -law.reduce((all, value) => all + Math.exp(value) * value, 0);
    const surprise = [logp, entropy, Math.max(...law) - logp, total];
    const seen = times(tensors.matrix('evidence.surprise.weight'), surprise);
    x = add(part('state', states[t]!), seen).map(silu);
    sum = add(sum, x);
  });
  const mixed = part('mix', [...x, ...sum.map((value) => value / 8)]).map(silu);
  return 1 / (1 + Math.exp(-part('score', mixed)[0]!));
}

function logSoftmax(logits: Vector): Vector {
  const most = Math.max(...logits);
  const norm = most + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0));
  return logits.map((value) => value - norm);
}

test('scores are those of the definition: the law of a token is the one before it', async () => {
  const model = await session(checkpoint, { weights: 'float32', layout: 'cached' });
  const found = await scores(model, checkpoint, rows);
  rows.forEach((row, i) => expect(found[i]).toBeCloseTo(expected(row), 4));
  expect(new Set(found.map((score) => score.toFixed(4))).size).toBe(rows.length); // they tell rows apart
});

test('neither the batch nor the padding changes a bit of a score', async () => {
  const model = await session(checkpoint, { weights: 'int8', layout: 'cached' });
  const together = await scores(model, checkpoint, rows);
  for (const [i, row] of rows.entries()) {
    expect(await scores(model, checkpoint, [row])).toEqual([together[i]]);
    expect(await scores(model, checkpoint, [row, row], 60)).toEqual([together[i], together[i]]);
  }
});

test.each([
  [{ evidence_head: null }, 'evidence_head is null'],
  [{ evidence_head: { width: WIDTH, inner: INNER } }, 'opens is undefined'],
  [{ evidence_head: { width: WIDTH, inner: INNER, opens: OPENS, depth: 2 } }, 'depth is 2'],
  [{ tie_word_embeddings: false }, 'tie_word_embeddings is false'],
])('a config that says %j is refused by the field', (changes, message) => {
  const other = publish({ ...config, ...changes }, shapes);
  expect(() => openCheckpoint(other.folder, { role: 'reward' })).toThrow(message);
});

test('a verifier is no policy', () => {
  expect(() => openCheckpoint(folder)).toThrow('has a scalar head');
});
