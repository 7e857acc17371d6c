/** A model with a scalar head (METHODS.md 0, 8): rows are right-padded, and each is read at its own last token. */

import { join } from 'node:path';
import type { ScoreModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import type { Ort, OrtSession } from './ort.ts';
import { lastPlaces, readWhole } from './padded.ts';
import { shapeOf, type Shape } from './shape.ts';

/**
 * Loads `config.json` and `model.onnx` of a folder, and tries the model once.
 * @throws Error that names the folder and carries ORT's message if the graph is not one of a scalar head
 */
export function loadScorer(ort: Ort, folder: string, name: string): ScoreModel & Disposable {
  const shape = shapeOf(folder);
  const session = ort.session(join(folder, 'model.onnx'));
  const score = (rows: readonly (readonly Token[])[]): Float32Array =>
    scores(ort, session, shape, rows);
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
    context: shape.context,
    score,
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

function scores(
  ort: Ort,
  session: OrtSession,
  shape: Shape,
  rows: readonly (readonly Token[])[],
): Float32Array {
  const values = new Float32Array(rows.length);
  using score = ort.tensor('float32', [rows.length], values);
  readWhole(ort, session, shape, rows, lastPlaces(rows), { score });
  return values;
}
