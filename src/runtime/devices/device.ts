/** Where a model runs: what opens its sessions, and whose memory its KV lies in. Everything else is given from this process's memory. */

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { HostKv } from '../kv/host.ts';
import type { KvStore } from '../kv/store.ts';
import { withInt8Kv, type KvScales } from '../onnx/int8_kv.ts';
import type { Ort, OrtSession } from '../ort/ort.ts';
import type { Shape } from '../shape.ts';

export interface Device extends Disposable {
  /** The environment that it is part of, whose tensors are in this process's memory. */
  readonly ort: Ort;
  /** Whether it keeps KV of int8. */
  readonly int8Kv: boolean;
  /**
   * Loads a graph from a file. Throws OrtError with ORT's own message.
   * @param scales make it a graph that keeps its KV as int8
   */
  session(path: string, scales?: KvScales | null): OrtSession;
  /** Most tokens of a row that one run may read: attention over more is not right on every device. */
  widest(shape: Shape): number;
  /** KV of `rows` rows of `length` positions. Throws OrtError where there is no room. */
  store(shape: Shape, rows: number, length: number): KvStore;
}

/** The processor, and this process's memory. */
export const cpu = (ort: Ort): Device => ({
  ort,
  int8Kv: true,
  session: (path, scales = null) =>
    scales === null
      ? ort.session(path)
      : ort.session(amended(path, scales), { folder: dirname(path) }),
  widest: () => Infinity,
  store: (shape, rows, length) => new HostKv(ort, shape, rows, length),
  [Symbol.dispose]: () => undefined,
});

function amended(path: string, scales: KvScales): Uint8Array {
  const model = readFileSync(path);
  try {
    return withInt8Kv(model, scales);
  } catch (error) {
    throw new Error(`${path} is no protobuf of a decoder: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
