/**
 * Weights as they are wanted, made of the tensors as they are stored: rows of one or several, turned or padded.
 * Nothing is read before the graph is written, and then a few rows at a time.
 */

import type { TensorSource } from './safetensors.ts';

/** Values in rows. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** The rows `from` to `to`, row-major. The array is the caller's. */
  read(from: number, to: number): Float32Array;
}

/** Pieces of about this many values: large enough for the disk, small enough for any machine. */
const PIECE_VALUES = 2 ** 21;

/** A tensor [rows, columns], or [rows] as one column. */
export const stored = (
  source: TensorSource,
  name: string,
  rows: number,
  columns: number,
): Matrix => ({
  rows,
  columns,
  read: (from, to) => source.read(name, from, to),
});

/** Matrices of the same width, one below the other. */
export function stacked(parts: readonly Matrix[]): Matrix {
  const [only] = parts;
  if (only && parts.length === 1) return only;
  const columns = only?.columns ?? 0;
  return {
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    columns,
    read(from, to) {
      const out = new Float32Array((to - from) * columns);
      let top = 0;
      for (const part of parts) {
        const [first, last] = [Math.max(from - top, 0), Math.min(to - top, part.rows)];
        if (first < last) out.set(part.read(first, last), (top + first - from) * columns);
        top += part.rows;
      }
      return out;
    },
  };
}

/** `count` rows from `first` on. */
export const rowsOf = (matrix: Matrix, first: number, count: number): Matrix => ({
  rows: count,
  columns: matrix.columns,
  read: (from, to) => matrix.read(first + from, first + to),
});

/** Zeros to the right and below, up to the given size. */
export function padded(matrix: Matrix, rows: number, columns: number): Matrix {
  if (rows === matrix.rows && columns === matrix.columns) return matrix;
  return {
    rows,
    columns,
    read(from, to) {
      const out = new Float32Array((to - from) * columns);
      const last = Math.min(to, matrix.rows);
      const values = from < last ? matrix.read(from, last) : new Float32Array();
      for (let row = 0; row < last - from; row++)
        out.set(values.subarray(row * matrix.columns, (row + 1) * matrix.columns), row * columns);
      return out;
    },
  };
}

/** Columns as rows. The whole of it is held while it is read from top to bottom. */
export function turned(matrix: Matrix): Matrix {
  const [rows, columns] = [matrix.columns, matrix.rows];
  let whole: Float32Array | null = null;
  return {
    rows,
    columns,
    read(from, to) {
      whole ??= transpose(matrix);
      const out = whole.slice(from * columns, to * columns);
      if (to === rows) whole = null;
      return out;
    },
  };
}

/** All rows, a piece at a time. */
export function* pieces(matrix: Matrix): Iterable<Float32Array> {
  const step = Math.max(1, Math.floor(PIECE_VALUES / Math.max(1, matrix.columns)));
  for (let from = 0; from < matrix.rows; from += step)
    yield matrix.read(from, Math.min(from + step, matrix.rows));
}

/** [rows, columns] to [columns, rows], in tiles so that both sides stay in the cache. */
function transpose(matrix: Matrix): Float32Array {
  const { rows, columns } = matrix;
  const out = new Float32Array(rows * columns);
  const tile = 32;
  let top = 0;
  for (const values of pieces(matrix)) {
    const count = values.length / columns;
    for (let r = 0; r < count; r += tile)
      for (let c = 0; c < columns; c += tile) {
        const [bottom, right] = [Math.min(r + tile, count), Math.min(c + tile, columns)];
        for (let column = c; column < right; column++)
          for (let row = r; row < bottom; row++)
            out[column * rows + top + row] = values[row * columns + column]!;
      }
    top += count;
  }
  return out;
}
