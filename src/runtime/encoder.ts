/** An encoder with a classification head: texts of like lengths are read together, padded on the right. */

import { join } from 'node:path';
import type { ScoreModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import type { Device } from './devices/device.ts';
import { readJson } from './json.ts';
import type { Ort, OrtSession } from './ort/ort.ts';
import { readPair, typesOf, type Pair } from './text/pair.ts';
import { shapeOf } from './shape.ts';
import { expectScore, tryOut } from './trial.ts';

/** A text alone would be a vector to the kernels if it were one token wide. */
const LEAST_WIDTH = 2;
/** Texts at least so long, against the longest of their run, are padded to it. */
const LIKE = 0.75;

/**
 * Loads `model.onnx` and what `tokenizer.json` says of pairs, and tries the model once.
 * @throws Error that names the folder and carries ORT's message if the graph is not one of an encoder
 */
export function loadEncoder(device: Device, folder: string, name: string): ScoreModel & Disposable {
  const { context } = shapeOf(folder);
  const file = join(folder, 'tokenizer.json');
  const pair = readPair(readJson<{ readonly post_processor?: unknown }>(file), file);
  const session = device.session(join(folder, 'model.onnx'));
  const run = (rows: readonly (readonly Token[])[]) => scoresOf(device.ort, session, pair, rows);
  tryOut(session, `${folder} is no encoder with a score`, () => expectScore(run([[0, 0]])[0]));
  return {
    name,
    context,
    missing: (row) => row.length,
    readOn: () => false,
    score(rows) {
      const scores = new Float32Array(rows.length);
      for (const like of ofLikeLength(rows)) {
        const found = run(like.map((i) => rows[i]!));
        like.forEach((i, at) => (scores[i] = found[at]!));
      }
      return scores;
    },
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

/** Indexes of rows that are read together. */
function ofLikeLength(rows: readonly (readonly Token[])[]): number[][] {
  const groups: number[][] = [];
  for (const i of [...rows.keys()].toSorted((a, b) => rows[b]!.length - rows[a]!.length)) {
    const group = groups.at(-1);
    if (group !== undefined && rows[i]!.length >= LIKE * rows[group[0]!]!.length) group.push(i);
    else groups.push([i]);
  }
  return groups;
}

function scoresOf(
  ort: Ort,
  session: OrtSession,
  pair: Pair,
  rows: readonly (readonly Token[])[],
): Float32Array {
  const width = rows.reduce((most, row) => Math.max(most, row.length), LEAST_WIDTH);
  const scores = new Float32Array(rows.length);
  /** Each row's numbers, and zeros behind them. */
  const input = (numbers: readonly (readonly number[])[]) => {
    const values = new BigInt64Array(rows.length * width);
    numbers.forEach((row, r) => row.forEach((value, i) => (values[r * width + i] = BigInt(value))));
    return ort.tensor('int64', [rows.length, width], values);
  };
  using ids = input(rows);
  using mask = input(rows.map((row) => row.map(() => 1)));
  using types = input(rows.map((row) => typesOf(row, pair)));
  using score = ort.tensor('float32', [rows.length], scores);
  session.bind({ input_ids: ids, attention_mask: mask, token_type_ids: types }, { score }).run();
  return scores;
}
