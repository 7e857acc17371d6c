/** A model with a scalar head (METHODS.md 0, 8): rows are right-padded, and each is read at its own last token. */

import { join } from 'node:path';
import type { ScoreModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import { readJson } from './json.ts';
import type { Ort, OrtSession } from './ort.ts';

/** A single token would run through other kernels than the same token in a batch: it is padded to two. */
const LEAST_WIDTH = 2;

/**
 * Loads `config.json` and `model.onnx` of a folder, and tries the model once.
 * @throws Error that names the folder and carries ORT's message if the graph is not one of a scalar head
 */
export function loadScorer(ort: Ort, folder: string, name: string): ScoreModel & Disposable {
  const config = readJson<{ readonly max_position_embeddings: number }>(
    join(folder, 'config.json'),
  );
  const session = ort.session(join(folder, 'model.onnx'));
  const score = (rows: readonly (readonly Token[])[]): Float32Array => run(ort, session, rows);
  try {
    if (!score([[0, 0]]).every(Number.isFinite)) throw new Error('its score is not a number');
  } catch (error) {
    session[Symbol.dispose]();
    throw new Error(`${folder} is no model with a scalar head: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return {
    name,
    context: config.max_position_embeddings,
    score,
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

function run(ort: Ort, session: OrtSession, rows: readonly (readonly Token[])[]): Float32Array {
  const width = Math.max(LEAST_WIDTH, ...rows.map((row) => row.length));
  const ids = new BigInt64Array(rows.length * width);
  rows.forEach((row, r) => row.forEach((token, i) => (ids[r * width + i] = BigInt(token))));
  const last = BigInt64Array.from(rows, (row) => BigInt(row.length - 1));
  const scores = new Float32Array(rows.length);
  const inputs = {
    input_ids: ort.tensor('int64', [rows.length, width], ids),
    last_index: ort.tensor('int64', [rows.length], last),
  };
  const out = ort.tensor('float32', [rows.length], scores);
  try {
    session.bind(inputs, { score: out }).run();
  } finally {
    for (const tensor of [...Object.values(inputs), out]) tensor[Symbol.dispose]();
  }
  return scores;
}
