/** The ONNX writer: what it writes loads and runs. */

import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { float, graph } from '../../../src/runtime/onnx/graph.ts';

test('a graph computes with fixed and symbolic dims, constants and attributes', async () => {
  const g = graph('small');
  const x = g.input('x', 'float32', ['rows', 3]);
  const clipped = g.node('Max', [x, g.scalar(-1)]);
  const scaled = g.node('LeakyRelu', [clipped], { alpha: float(0.5) });
  g.output('y', scaled, 'float32', ['rows', 3]);
  g.output('sum', g.node('ReduceSum', [scaled, g.ints(-1)], { keepdims: 0 }), 'float32', ['rows']);
  g.output('again', g.node('Neg', [scaled]), 'float32', ['rows', 3]);
  const session = await ort.InferenceSession.create(g.bytes());
  const out = await session.run({ x: new ort.Tensor(Float32Array.of(1, -2, 3, 4, 5, -6), [2, 3]) });
  expect([...(out['y']!.data as Float32Array)]).toEqual([1, -0.5, 3, 4, 5, -0.5]);
  expect([...(out['sum']!.data as Float32Array)]).toEqual([3.5, 8.5]);
  expect([...(out['again']!.data as Float32Array)]).toEqual([-1, 0.5, -3, -4, -5, 0.5]);
});

test('several outputs, float64 tensors and an omitted optional input work', async () => {
  const g = graph('wide');
  const x = g.input('x', 'float64', [4]);
  const w = g.initializer('w', [4], Float64Array.of(1e-12, 2, 3, 4));
  const [values, ids] = g.nodes('TopK', [g.node('Mul', [x, w]), g.ints(2)], ['values', 'ids']);
  g.output('values', values, 'float64', [2]);
  g.output('best', ids, 'int64', [2]);
  g.output('clip', g.node('Clip', [x, '', g.scalar(2, 'float64')]), 'float64', [4]);
  const session = await ort.InferenceSession.create(g.bytes());
  const out = await session.run({
    x: new ort.Tensor('float64', Float64Array.of(1, 2, 3, -4), [4]),
  });
  expect([...(out['values']!.data as Float64Array)]).toEqual([9, 4]);
  expect([...(out['best']!.data as BigInt64Array)]).toEqual([2n, 1n]);
  expect([...(out['clip']!.data as Float64Array)]).toEqual([1, 2, 2, -4]);
});

test('an input or a value that is an output already can be given out again', async () => {
  const g = graph('copies');
  const x = g.input('x', 'float32', [1]);
  g.output('same', x, 'float32', [1]);
  const y = g.node('Neg', [x]);
  g.output('first', y, 'float32', [1]);
  g.output('second', y, 'float32', [1]);
  const session = await ort.InferenceSession.create(g.bytes());
  const out = await session.run({ x: new ort.Tensor(Float32Array.of(7), [1]) });
  expect(Object.values(out).map((t) => (t.data as Float32Array)[0])).toEqual([7, -7, -7]);
});

test('mistakes are refused where they are made', () => {
  const g = graph('wrong');
  expect(() => g.initializer('w', [2, 2], new Float32Array(3))).toThrow('w: dims [2, 2] hold 4');
  g.initializer('w', [1], new Float32Array(1));
  expect(() => g.initializer('w', [1], new Float32Array(1))).toThrow('stored twice');
  g.node('LeakyRelu', ['w'], { alpha: 0.5 });
  expect(() => g.bytes()).toThrow('alpha is 0.5');
});
