/**
 * What one step of int8 is worth in each channel of a decoder's KV (symmetric): found from texts that the model writes
 * itself and from random tokens. Whether it is fine enough is found from other texts: how far the laws move.
 */

import type { KvRows, LanguageModel } from '../../core/model.ts';
import { STREAM, uniform } from '../../core/philox.ts';
import type { KvScales } from '../onnx/int8_kv.ts';
import type { Shape } from '../shape.ts';
import type { Block } from './store.ts';

/** Texts that are written at once, of at most so many tokens. */
const ROWS = 16;
const LONGEST = 256;
/** How much larger than all that was seen a value may be. */
const MARGIN = 1.1;
const STEPS = 127;
/** A step of a channel that is always zero. */
const LEAST = 1e-8;
/** Significant digits that a step is given with. */
const DIGITS = 5;

export interface Texts {
  /** The tokenizer's length: ids from there on are padding. */
  readonly vocab: number;
  /** How a text of the model's begins. */
  readonly opening: readonly number[];
  readonly seed: bigint;
}

/** Steps for the largest values that a model keeps. @param shape of the model, which keeps float32 */
export function scalesOf(model: LanguageModel, shape: Shape, texts: Texts): KvScales {
  const { layers, kvHeads, headDim } = shape;
  const largest = Array.from({ length: 2 * layers }, () => new Float64Array(kvHeads * headDim));
  using rows = openFor(model);
  write(rows, model.width, texts, ROWS / 2);
  for (let row = 0; row < ROWS; row++) {
    const { values } = rows.save(row, rows.length) as Block; // [2 * layers, kvHeads, length, headDim]
    values.forEach((value, i) => {
      const head = Math.floor(i / (headDim * rows.length));
      const channels = largest[Math.floor(head / kvHeads)]!;
      const channel = (head % kvHeads) * headDim + (i % headDim);
      channels[channel] = Math.max(channels[channel]!, Math.abs(value));
    });
  }
  const steps = largest.map((channels) =>
    Array.from(channels, (most) => rounded(Math.max((MARGIN * most) / STEPS, LEAST))),
  );
  const every = (from: number) => steps.filter((_, i) => i % 2 === from);
  return { key: every(0), value: every(1) };
}

const rounded = (step: number): number => Number(step.toPrecision(DIGITS));

/** How far laws are from each other, over all tokens of some texts. */
interface Distance {
  /** KL in nats: of all laws, and of the farthest one. */
  readonly mean: number;
  readonly most: number;
  /** How often the same token is the likeliest. */
  readonly agreement: number;
}

/** How far the laws of `other` are from those of `model`, on texts that `model` writes. */
export function distanceOf(model: LanguageModel, other: LanguageModel, texts: Texts): Distance {
  let [sum, most, agreeing, laws] = [0, 0, 0, 0];
  using rows = openFor(model);
  using others = openFor(other);
  write(rows, model.width, texts, ROWS, (said, tokens, lengths) => {
    const answers = others.step(ROWS, tokens, lengths);
    for (let row = 0; row < ROWS; row++) {
      const part = (of: Float32Array) =>
        lawOf(of.subarray(row * model.width, row * model.width + texts.vocab));
      const [p, q] = [part(said), part(answers)];
      const kl = p.reduce((total, x, i) => (x > 0 ? total + x * Math.log(x / q[i]!) : total), 0);
      [sum, most, laws] = [sum + kl, Math.max(most, kl), laws + 1];
      if (likeliest(p) === likeliest(q)) agreeing++;
    }
  });
  return { mean: sum / laws, most, agreement: agreeing / laws };
}

const openFor = (model: LanguageModel): KvRows =>
  model.open(ROWS, Math.min(model.context, LONGEST));

/**
 * Fills all rows with texts, side by side: the first `own` are the model's, drawn token by token, the others random tokens.
 * @param visit what the model said, [rows, width], of which tokens at which positions
 */
function write(
  rows: KvRows,
  width: number,
  { vocab, opening, seed }: Texts,
  own: number,
  visit: (said: Float32Array, tokens: Int32Array, lengths: Int32Array) => void = () => undefined,
): void {
  const anything = (position: number, row: number): number =>
    Math.floor(vocab * uniform(seed, position, row, 0, STREAM.strategy));
  const tokens = Int32Array.from({ length: ROWS }, (_, row) => anything(0, row));
  for (let position = 0; position < rows.length; position++) {
    if (position < opening.length) tokens.fill(opening[position]!, 0, own);
    const lengths = new Int32Array(ROWS).fill(position);
    const said = rows.step(ROWS, tokens, lengths);
    visit(said, tokens, lengths);
    for (let row = 0; row < ROWS; row++) {
      const law = row < own ? lawOf(said.subarray(row * width, row * width + vocab)) : null;
      const u = uniform(seed, position, row, 0, STREAM.token);
      tokens[row] = law === null ? anything(position + 1, row) : drawn(law, u);
    }
  }
}

function lawOf(logits: Float32Array): Float64Array {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = Float64Array.from(logits, (x) => Math.exp(x - most));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((x) => x / total);
}

const likeliest = (law: Float64Array): number => law.reduce((a, x, i) => (x > law[a]! ? i : a), 0);

function drawn(law: Float64Array, u: number): number {
  let left = u;
  const found = law.findIndex((x) => (left -= x) < 0);
  return found < 0 ? likeliest(law) : found;
}
