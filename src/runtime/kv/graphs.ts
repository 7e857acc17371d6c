/** What moves KV within a device's memory, as graphs: a device has no addresses that we could copy by. */

import { graph, type GraphBuilder, type Value } from '../onnx/graph.ts';
import type { OrtSession } from '../ort/ort.ts';

/** Inputs `from.N` and `to.N` are the buffers of stores, [rows, heads, length, dim] each; `out.N` is `to.N` in place. */
export interface KvGraphs extends Disposable {
  /** `to` row `target[i]` becomes `from` row `source[i]`: int64 [n], and [n, 1] for `target`. All are read before one is written. */
  readonly move: OrtSession;
  /** `block` becomes the first `held` positions of row `row` (int64 [1] each) of `from`: [buffers, heads, held, dim]. */
  readonly take: OrtSession;
  /** The first positions of `block` go to `cells` of `to`: int64 [heads, held, 3] of row, head and position; `held` int64 [1]. */
  readonly put: OrtSession;
}

/** @param buffers of a store: two for each layer */
export function kvGraphs(open: (model: Uint8Array) => OrtSession, buffers: number): KvGraphs {
  const [move, take, put] = [moveGraph, takeGraph, putGraph].map((make) => open(make(buffers)));
  return {
    move: move!,
    take: take!,
    put: put!,
    [Symbol.dispose]: () => [move, take, put].forEach((session) => session![Symbol.dispose]()),
  };
}

const ROWS = ['rows', 'heads', 'length', 'dim'];
const BLOCK = ['buffers', 'heads', 'kept', 'dim'];

/** Each buffer, and what becomes of it. */
function inPlace(
  g: GraphBuilder,
  buffers: number,
  write: (to: Value, buffer: number) => Value,
): void {
  for (let i = 0; i < buffers; i++)
    g.output(`out.${i}`, write(g.input(`to.${i}`, 'float32', ROWS), i), 'float32', ROWS);
}

function moveGraph(buffers: number): Uint8Array {
  const g = graph('move');
  const source = g.input('source', 'int64', ['n']);
  const target = g.input('target', 'int64', ['n', 1]);
  inPlace(g, buffers, (to, i) => {
    const from = g.input(`from.${i}`, 'float32', ['sources', ...ROWS.slice(1)]);
    return g.node('ScatterND', [to, target, g.node('Gather', [from, source], { axis: 0 })]);
  });
  return g.bytes();
}

function takeGraph(buffers: number): Uint8Array {
  const g = graph('take');
  const row = g.input('row', 'int64', [1]);
  const held = g.input('held', 'int64', [1]);
  const parts = Array.from({ length: buffers }, (_, i) => {
    const whole = g.node('Gather', [g.input(`from.${i}`, 'float32', ROWS), row], { axis: 0 });
    return g.node('Slice', [whole, g.ints(0), held, g.ints(2)]);
  });
  g.output('block', g.node('Concat', parts, { axis: 0 }), 'float32', BLOCK);
  return g.bytes();
}

function putGraph(buffers: number): Uint8Array {
  const g = graph('put');
  const cells = g.input('cells', 'int64', ['heads', 'held', 3]);
  const held = g.input('held', 'int64', [1]);
  const block = g.node('Slice', [g.input('block', 'float32', BLOCK), g.ints(0), held, g.ints(2)]);
  inPlace(g, buffers, (to, i) =>
    g.node('ScatterND', [to, cells, g.node('Gather', [block, g.scalar(i, 'int64')], { axis: 0 })]),
  );
  return g.bytes();
}
