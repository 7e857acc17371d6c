/**
 * A GPU through WebGPU (Vulkan, Metal, Direct3D 12): one adapter for the whole process, one thread for all its calls.
 * Released before the sessions that use it, its memory would end the process: what is in it goes first, it last.
 */

import { widestRun } from './attention_check.ts';
import type { Device } from './device.ts';
import { DeviceKv } from '../kv/device.ts';
import { kvGraphs, type KvGraphs } from '../kv/graphs.ts';
import { graph } from '../onnx/graph.ts';
import type { DeviceTensor, Ort } from '../ort/ort.ts';
import { outlineOf } from '../onnx/outline.ts';
import { kvElement } from '../shape.ts';

const PROVIDER = 'WebGPU';
const MEMORY = 'WebGPU_Buf';

/** Opens the adapter. Dispose of stores and of models before it. @throws OrtError if there is no adapter */
export function webgpu(ort: Ort): Device {
  const open = (model: string | Uint8Array) => ort.session(model, { provider: PROVIDER });
  const clearing = open(zerosGraph());
  const allocator = clearing.allocator(MEMORY);
  const zeros = (dims: readonly number[]): DeviceTensor => {
    const tensor = allocator.tensor(dims);
    using shape = ort.tensor('int64', [dims.length], BigInt64Array.from(dims, BigInt));
    clearing.bind({ shape }, { zeros: tensor }).run();
    return tensor;
  };
  const known = new Map<number, KvGraphs>();
  const graphsOf = (buffers: number): KvGraphs => {
    const graphs = known.get(buffers) ?? kvGraphs(open, buffers);
    known.set(buffers, graphs);
    return graphs;
  };
  const widths = new Map<number, number>();
  return {
    ort,
    int8Kv: false,
    session(path) {
      if (outlineOf(path).settings.has('softcap'))
        throw new Error(
          `${path} caps its attention softly, which ONNX Runtime's ${PROVIDER} leaves out`,
        );
      return open(path);
    },
    widest({ headDim }) {
      const width = widths.get(headDim) ?? widestRun(ort, open, headDim);
      widths.set(headDim, width);
      return width;
    },
    store(shape, rows, length) {
      if (kvElement(shape) !== 'float32')
        throw new Error(`KV of ${kvElement(shape)} is not kept on ${PROVIDER}`);
      return new DeviceKv({ ort, zeros, graphs: graphsOf(2 * shape.layers) }, shape, rows, length);
    },
    [Symbol.dispose]() {
      allocator[Symbol.dispose]();
      for (const graphs of known.values()) graphs[Symbol.dispose]();
      clearing[Symbol.dispose]();
    },
  };
}

/** Memory is given out by sessions only, with what was left in it: attention multiplies what is masked by 0, and 0 times no number is none. */
function zerosGraph(): Uint8Array {
  const g = graph('zeros');
  const shape = g.input('shape', 'int64', [4]);
  g.output('zeros', g.node('Expand', [g.scalar(0), shape]), 'float32', ['a', 'b', 'c', 'd']);
  return g.bytes();
}
