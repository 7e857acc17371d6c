/** A decoder-only model in the GQA form (ENGINE.md): one session, which steps, prefills and reads texts that are written already. */

import { join } from 'node:path';
import type { LanguageModel, TextModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import type { Device } from './devices/device.ts';
import type { KvScales } from './onnx/int8_kv.ts';
import type { HostTensor } from './ort/ort.ts';
import { OrtRows, type Output, type OrtModel } from './ort_rows.ts';
import { readWhole, type Place } from './padded.ts';
import { kvBytes, rowWidth, shapeOf, stateColumns, type Shape } from './shape.ts';
import { sharedSession } from './ort/shared_session.ts';
import { steeredBy, steeringOf } from './steering.ts';
import { textModel } from './text_model.ts';
import { tryOut } from './trial.ts';

export interface Decoder extends LanguageModel, Disposable {
  /** Width of the vectors that steer its rows; 0: it cannot be steered. */
  readonly steered: number;
  /** The same weights, asked about texts that are written already. @param vocab length of the tokenizer */
  texts(vocab: number): TextModel & Disposable;
}

/**
 * Loads `config.json` and `model.onnx` of a folder, and tries the model once. With scales its KV is kept as int8.
 * @throws Error that names the folder and carries ORT's message if the file is damaged or of another layout
 */
export function loadDecoder(
  device: Device,
  folder: string,
  name: string,
  scales: KvScales | null = null,
): Decoder {
  const shape: Shape = { ...shapeOf(folder), ...(scales === null ? {} : { kv: 'int8' }) };
  const path = join(folder, 'model.onnx');
  const session = sharedSession(device, path, scales);
  const model = { device, session, shape, output: logitsOf(shape), steered: steeredBy(path) };
  tryOut(session, `${folder} is no decoder as the importer writes it`, () => {
    using rows = new OrtRows(model, { rows: 1, length: 2 });
    rows.prefill(0, [0, 0], 0);
  });
  return {
    name,
    width: rowWidth(shape),
    states: stateColumns(shape),
    context: shape.context,
    kvBytes: kvBytes(shape),
    steered: model.steered,
    open: (rows, length) => new OrtRows(model, { rows, length }),
    texts: (vocab) =>
      textModel(device.ort, {
        name,
        shape,
        vocab,
        read: (texts, places, logits) => readTexts(model, texts, places, logits),
      }),
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

function logitsOf(shape: Shape): Output {
  const width = rowWidth(shape);
  return { name: 'logits', width, dims: (places) => [places, width] };
}

/** Reads whole texts, of which no KV is kept, and fills `out` with what the model says of `places`. */
export function readTexts(
  model: OrtModel,
  texts: readonly (readonly Token[])[],
  places: readonly Place[],
  out: HostTensor,
): void {
  const { device, session, shape, output } = model;
  const widest = device.widest(shape);
  if (texts.every(({ length }) => length <= widest)) {
    const more = steeringOf(device.ort, model.steered, texts.length);
    try {
      return readWhole(device.ort, session, shape, texts, places, { [output.name]: out }, more);
    } finally {
      for (const tensor of Object.values(more)) tensor[Symbol.dispose]();
    }
  }
  texts.forEach((text, row) => {
    const wanted = places.flatMap(([of, position], to) => (of === row ? [{ position, to }] : []));
    using rows = new OrtRows(model, { rows: 1, length: text.length });
    rows.readOut(text, wanted, out.data as Float32Array);
  });
}
