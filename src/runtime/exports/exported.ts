/** Decoders that other tools exported, run as they are: what export.ts describes, loaded and tried once. */

import { join } from 'node:path';
import type { Token } from '../../core/tree.ts';
import type { Decoder } from '../decoder.ts';
import type { Device } from '../devices/device.ts';
import { readExport } from './export.ts';
import type { ExportedModel, ExportedRows } from './rows.ts';
import { GenaiRows } from './genai_rows.ts';
import { GrowingRows } from './growing_rows.ts';
import type { HostTensor } from '../ort/ort.ts';
import type { Place } from '../padded.ts';
import { kvBytes } from '../shape.ts';
import { sharedSession } from '../ort/shared_session.ts';
import { textModel } from '../text_model.ts';
import { tryOut } from '../trial.ts';

const ROWS = { genai: GenaiRows, growing: GrowingRows };

/**
 * Loads the graph of a folder that another tool exported, and tries it once.
 * @param asked the graph's file in the folder; left out: the one with a usual name
 * @throws Error that names the folder and what is not supported, or carries ORT's message
 */
export function loadExported(
  device: Device,
  folder: string,
  name: string,
  asked?: string,
): Decoder {
  const { graph, layout, shape, takes } = readExport(folder, asked);
  const session = sharedSession(device, join(folder, graph));
  const copies = { past: [], present: [] };
  const model: ExportedModel = { device, session, shape, takes, copies };
  const open = (rows: number, length: number): ExportedRows =>
    new ROWS[layout](model, rows, length);
  tryOut(session, `${join(folder, graph)} does not run as its inputs promise`, () =>
    readAndStep(open(1, 4)),
  );
  return {
    name,
    width: shape.vocab,
    context: shape.context,
    kvBytes: kvBytes(shape),
    steered: 0,
    open,
    texts: (vocab) =>
      textModel(device.ort, {
        name,
        shape,
        vocab,
        read: (texts, places, logits) => readTexts(open, texts, places, logits),
      }),
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

function readAndStep(rows: ExportedRows): void {
  using kv = rows;
  kv.prefill(0, [0, 0], 0);
  const logits = kv.step(1, Int32Array.of(0), Int32Array.of(2));
  if (!logits.every(Number.isFinite)) throw new Error('its logits are not all numbers');
}

/** Each text by itself, in rows of its own: what is said of it does not depend on the others. */
function readTexts(
  open: (rows: number, length: number) => ExportedRows,
  texts: readonly (readonly Token[])[],
  places: readonly Place[],
  { data }: HostTensor,
): void {
  texts.forEach((text, row) => {
    const wanted = new Map<number, number>(
      places.flatMap(([of, position], place) => (of === row ? [[position, place]] : [])),
    );
    using kv = open(1, text.length);
    kv.read(0, text, 0, (position, logits) => {
      const place = wanted.get(position);
      if (place !== undefined) (data as Float32Array).set(logits, place * logits.length);
    });
  });
}
