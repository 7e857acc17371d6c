/** A policy read for its activations: what its states are at the layer that it is steered after, and how unsure it is there. */

import { join } from 'node:path';
import type { Token } from '../core/tree.ts';
import { outlineOf } from '../runtime/onnx/outline.ts';
import { Ort } from '../runtime/ort/ort.ts';
import { readWhole, type Place } from '../runtime/padded.ts';
import { rowWidth, shapeOf } from '../runtime/shape.ts';
import { steeringOf } from '../runtime/steering.ts';

/** Calls back with the states and the entropy in nats at a position; the states are valid during the call. */
type Visit = (states: Float32Array, entropy: number) => void;

export interface StateReader extends Disposable {
  /** Longest text that it can read, in tokens. */
  readonly context: number;
  /** Reads a text and visits its positions from `from` to `to`, the last one left out. */
  read(text: readonly Token[], from: number, to: number, visit: Visit): void;
}

const STATES = 'steering_states';
/** Logits at a time; of longer answers the text is read again for the rest. */
const MAX_LOGITS = 2 ** 26;

/**
 * Loads the graph of a policy's folder.
 * @param width of its states @param vocab of its tokenizer: logits beyond are padding
 * @throws Error that names the file if the graph does not give the states
 */
export function openReader(folder: string, width: number, vocab: number): StateReader {
  const path = join(folder, 'model.onnx');
  if (!outlineOf(path).outputs.has(STATES))
    throw new Error(
      `${path} has no output ${STATES}; import its checkpoint again, with --steering`,
    );
  const shape = shapeOf(folder);
  const ort = new Ort({ threads: 0 });
  const session = ort.session(path);
  const told = rowWidth(shape);
  const most = Math.max(1, Math.floor(MAX_LOGITS / told));
  const readSome = (text: readonly Token[], from: number, to: number, visit: Visit): void => {
    const places = Array.from({ length: to - from }, (_, i): Place => [0, from + i]);
    const [said, at] = [told, width].map((wide) => new Float32Array(places.length * wide));
    using logits = ort.tensor('float32', [places.length, told], said!);
    using states = ort.tensor('float32', [places.length, width], at!);
    const still = steeringOf(ort, width, 1);
    const outputs = { logits, [STATES]: states };
    readWhole(ort, session, shape, [text], places, outputs, still);
    for (const tensor of Object.values(still)) tensor[Symbol.dispose]();
    places.forEach((_, i) => {
      const row = said!.subarray(i * told, i * told + vocab);
      visit(at!.subarray(i * width, (i + 1) * width), entropyOf(row));
    });
  };
  return {
    context: shape.context,
    read(text, from, to, visit) {
      for (let at = from; at < to; at += most) readSome(text, at, Math.min(to, at + most), visit);
    },
    [Symbol.dispose]() {
      session[Symbol.dispose]();
      ort[Symbol.dispose]();
    },
  };
}

/** Of softmax(logits), in nats: log Z - sum_v p(v) l(v). */
function entropyOf(logits: Float32Array): number {
  const highest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  let [z, weighted] = [0, 0];
  for (const logit of logits) {
    const p = Math.exp(logit - highest);
    z += p;
    weighted += p * (logit - highest);
  }
  return Math.max(0, Math.log(z) - weighted / z);
}
