/**
 * A GPU through WebGPU (Vulkan, Metal, Direct3D 12): one adapter for the whole process, one thread for all its calls.
 * Released before the sessions that use it, its memory would end the process: what is in it goes first, it last.
 */

import { widestRun } from './attention_check.ts';
import type { Device } from './device.ts';
import { DeviceKv } from './device_kv.ts';
import { kvGraphs, type KvGraphs } from './kv_graphs.ts';
import { graph } from './onnx.ts';
import type { Ort } from './ort.ts';
import { outlineOf } from './outline.ts';

const PROVIDER = 'WebGPU';
const MEMORY = 'WebGPU_Buf';

/** Opens the adapter. Dispose of stores and of models before it. @throws OrtError if there is no adapter */
export function webgpu(ort: Ort): Device {
  const open = (model: string | Uint8Array) => ort.session(model, PROVIDER);
  const home = open(nothing());
  const allocator = home.allocator(MEMORY);
  const known = new Map<number, KvGraphs>();
  const graphsOf = (buffers: number): KvGraphs => {
    const graphs = known.get(buffers) ?? kvGraphs(open, buffers);
    known.set(buffers, graphs);
    return graphs;
  };
  const widths = new Map<number, number>();
  return {
    ort,
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
    store: (shape, rows, length) =>
      new DeviceKv({ ort, allocator, graphs: graphsOf(2 * shape.layers) }, shape, rows, length),
    [Symbol.dispose]() {
      allocator[Symbol.dispose]();
      for (const graphs of known.values()) graphs[Symbol.dispose]();
      home[Symbol.dispose]();
    },
  };
}

/** The least graph: memory is given out by sessions only. */
function nothing(): Uint8Array {
  const g = graph('nothing');
  const x = g.input('x', 'float32', ['n']);
  g.output('y', g.node('Neg', [x]), 'float32', ['n']);
  return g.bytes();
}
