/** The input `steering` of a graph that the importer writes: a vector for each row, zeros for those that are not steered. */

import type { Steering } from '../core/model.ts';
import { outlineOf } from './onnx/outline.ts';
import type { Ort, Tensor } from './ort/ort.ts';

/** Width of the input. @param path of a graph as the importer writes it. 0: it has none */
export function steeredBy(path: string): number {
  const width = outlineOf(path).inputs.get('steering')?.dims[1] ?? 0;
  return typeof width === 'number' ? width : 0;
}

/** The input of one run over `rows` rows; nothing where the graph has none. */
export function steeringOf(
  ort: Ort,
  width: number,
  rows: number,
  steering?: readonly Steering[],
): Record<string, Tensor> {
  if (width === 0) return {};
  const all = new RowSteering(width, rows);
  all.set(rows, steering);
  return all.inputs(ort, rows);
}

/** What steers rows, in memory that runs read in place. A row is written only when its vector is another. */
export class RowSteering {
  readonly #width: number;
  readonly #values: Float32Array;
  readonly #held: Steering[];

  constructor(width: number, rows: number) {
    this.#width = width;
    this.#values = new Float32Array(rows * width);
    this.#held = Array.from({ length: rows }, () => null);
  }

  /** @param steering of the first `n` rows; left out: none of them is steered */
  set(n: number, steering?: readonly Steering[]): void {
    if (this.#width === 0) return;
    for (let row = 0; row < n; row++) {
      const vector = steering?.[row] ?? null;
      if (this.#held[row] === vector) continue;
      const at = row * this.#width;
      if (vector === null) this.#values.fill(0, at, at + this.#width);
      else this.#values.set(vector, at);
      this.#held[row] = vector;
    }
  }

  /** The input of a run over the first `n` rows; nothing where the graph has none. */
  inputs(ort: Ort, n: number): Record<string, Tensor> {
    if (this.#width === 0) return {};
    const values = this.#values.subarray(0, n * this.#width);
    return { steering: ort.tensor('float32', [n, this.#width], values) };
  }
}
