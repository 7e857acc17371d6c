/** A model with a scalar head (METHODS.md 0, 8): each row is read at its own last token, on from what it kept of its beginning. */

import { join } from 'node:path';
import type { ScoreModel, StateModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import { readTexts } from './decoder.ts';
import { OrtRows, type OrtModel } from './ort_rows.ts';
import type { Device } from './devices/device.ts';
import { KeptRows } from './kv/kept_rows.ts';
import { lastPlaces } from './padded.ts';
import { kvBytes, shapeOf } from './shape.ts';
import { sharedSession } from './ort/shared_session.ts';
import { steeredBy } from './steering.ts';
import { expectScore, tryOut } from './trial.ts';

/** More rows than a search has branches would only be looked through. */
const MOST_KEPT = 64;

const SCORE = { name: 'score', width: 1, dims: (places: number): number[] => [places] };

/**
 * Loads `config.json` and `model.onnx` of a folder, and tries the model once.
 * @param keepBytes of KV of what it read lately; without room for one row it keeps nothing
 * @throws Error that names the folder and carries ORT's message if the graph is not one of a scalar head
 */
export function loadScorer(
  device: Device,
  folder: string,
  name: string,
  keepBytes: number,
): ScoreModel & Disposable {
  const model = openGraph(device, folder, SCORE);
  tryOut(model.session, `${folder} is no model with a scalar head`, () =>
    expectScore(wholly(model, [0, 0])[0]),
  );
  const { said, ...reading } = readingOf(model, name, keepBytes);
  return { ...reading, score: (texts) => Float32Array.from(texts, (text) => said(text)[0]!) };
}

/**
 * The same of a graph with an output `hidden_states`, which nothing is kept for.
 * @param width of the states
 */
export function loadStates(
  device: Device,
  folder: string,
  name: string,
  width: number,
): StateModel & Disposable {
  const dims = (places: number): number[] => [places, width];
  const model = openGraph(device, folder, { name: 'hidden_states', width, dims });
  tryOut(model.session, `${folder} gives no states`, () => expectScore(wholly(model, [0, 0])[0]));
  const { said, ...reading } = readingOf(model, name, 0);
  return { ...reading, states: (texts) => texts.map((text) => said(text).slice()) };
}

function openGraph(device: Device, folder: string, output: OrtModel['output']): OrtModel {
  const path = join(folder, 'model.onnx');
  const session = sharedSession(device, path);
  return { device, session, shape: shapeOf(folder), output, steered: steeredBy(path) };
}

interface TextReading extends Omit<ScoreModel, 'score'>, Disposable {
  /** What the model says after a text's last token, valid until the next call. */
  readonly said: (text: readonly Token[]) => Float32Array;
}

function readingOf(model: OrtModel, name: string, keepBytes: number): TextReading {
  const { session, shape } = model;
  const rows = Math.min(MOST_KEPT, Math.floor(keepBytes / (kvBytes(shape) * shape.context)));
  const kept =
    rows === 0 ? null : new KeptRows(new OrtRows(model, { rows, length: shape.context }));
  return {
    name,
    context: shape.context,
    missing: (row) => (kept === null || row.length < 2 ? row.length : kept.missing(row)),
    readOn(row, tokens) {
      if (kept === null || row.length < 2) return false;
      kept.read(row.slice(0, row.length - kept.missing(row) + tokens));
      return true;
    },
    said: (text) => (kept === null || text.length < 2 ? wholly(model, text) : kept.read(text)),
    [Symbol.dispose]() {
      kept?.[Symbol.dispose]();
      session[Symbol.dispose]();
    },
  };
}

/** What is said of a text of which nothing is kept. */
function wholly(model: OrtModel, text: readonly Token[]): Float32Array {
  const { width, dims } = model.output;
  const values = new Float32Array(width);
  using out = model.device.ort.tensor('float32', dims(1), values);
  readTexts(model, [text], lastPlaces([text]), out);
  return values;
}
