/** Rows of any lengths as one run of a model reads them: right-padded, each with its own length, read out where asked. */

import type { Token } from '../core/tree.ts';
import type { Ort, OrtSession, Tensor } from './ort/ort.ts';
import { kvArray, kvElement, kvNames, type Shape } from './shape.ts';

/** A position of a row, both from 0. */
export type Place = readonly [row: number, position: number];

/**
 * A device reads behind its tables without a word. @param n of the tokens, those that are to be read
 * @throws Error that names the first token that the model does not have
 */
export function checkTokens(tokens: ArrayLike<Token>, n: number, { vocab }: Shape): void {
  for (let i = 0; i < n; i++)
    if (!(tokens[i]! >= 0 && tokens[i]! < vocab))
      throw new Error(`the model has tokens 0 to ${vocab - 1}; it was given ${tokens[i]}`);
}

/**
 * The inputs of a run beside its KV.
 * @param from positions that the rows hold already; more than one row only from 0
 * @param places where the run is read out, in the order of its output
 * @param least width to pad to: a token alone runs through other kernels than in a batch
 */
export function paddedInputs(
  ort: Ort,
  rows: readonly (readonly Token[])[],
  places: readonly Place[],
  { from = 0, least = 1 }: { readonly from?: number; readonly least?: number } = {},
): Record<string, Tensor> {
  const width = rows.reduce((longest, row) => Math.max(longest, row.length), least);
  const ids = new BigInt64Array(rows.length * width);
  rows.forEach((row, r) => row.forEach((token, i) => (ids[r * width + i] = BigInt(token))));
  const lengths = Int32Array.from(rows, (row) => from + row.length - 1);
  const reads = BigInt64Array.from(places, ([row, position]) => BigInt(row * width + position));
  return {
    input_ids: ort.tensor('int64', [rows.length, width], ids),
    seqlens_k: ort.tensor('int32', [rows.length], lengths),
    total_sequence_length: ort.tensor('int32', [], Int32Array.of(from + width)),
    read_index: ort.tensor('int64', [reads.length], reads),
  };
}

/** Lengths of the pieces that a text is read in: of `most` tokens, and none of one alone, which would be a step. @param most at least 3 */
export function piecesOf(length: number, most: number): number[] {
  const pieces: number[] = [];
  for (let left = length; left > 0; left -= pieces.at(-1)!)
    pieces.push(left === most + 1 ? most - 1 : Math.min(most, left));
  return pieces;
}

/** Where rows end. */
export const lastPlaces = (rows: readonly (readonly Token[])[]): Place[] =>
  rows.map((row, r) => [r, row.length - 1]);

/** Rows of whole texts would be steps to the kernels if they were one token wide. */
const LEAST_WIDTH = 2;

/**
 * One run over whole texts, of which no KV is kept. A text's output has the same bits alone and in any batch.
 * @param outputs of the session, over memory for all `places` @param more inputs
 */
export function readWhole(
  ort: Ort,
  session: OrtSession,
  shape: Shape,
  texts: readonly (readonly Token[])[],
  places: readonly Place[],
  outputs: Readonly<Record<string, Tensor>>,
  more: Readonly<Record<string, Tensor>> = {},
): void {
  for (const text of texts) checkTokens(text, text.length, shape);
  const inputs = paddedInputs(ort, texts, places, { least: LEAST_WIDTH });
  const dims = [texts.length, shape.kvHeads, 0, shape.headDim];
  const past = ort.tensor(kvElement(shape), dims, kvArray(shape, 0));
  const kv = Object.fromEntries(kvNames(shape).map((name) => [name, past]));
  try {
    session.bind({ ...inputs, ...more, ...kv }, outputs).run();
  } finally {
    for (const tensor of [...Object.values(inputs), past]) tensor[Symbol.dispose]();
  }
}
