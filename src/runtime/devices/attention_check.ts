/**
 * Whether a device attends as the CPU does. Which kernel runs depends on how many tokens are read: on software Vulkan
 * ONNX Runtime 1.30's for 32 and more is wrong, by as much as values differ; the one for fewer is right.
 */

import { graph } from '../onnx/graph.ts';
import type { Ort, OrtSession } from '../ort/ort.ts';

/** Tokens of a run: many, and fewer than any kernel for prompts begins at. */
const WIDTHS = [96, 24] as const;
const [HEADS, KV_HEADS] = [4, 2];
/** Right kernels are 1e-6 apart, wrong ones 0.1. */
const TOLERANCE = 1e-3;

/**
 * Most tokens of a row that a run on a device may read.
 * @param open of sessions there
 * @throws Error with the difference if it attends wrongly over few, too
 */
export function widestRun(
  ort: Ort,
  open: (model: Uint8Array) => OrtSession,
  headDim: number,
): number {
  const model = attentionGraph(headDim);
  using expected = ort.session(model);
  using found = open(model);
  const differences = WIDTHS.map((width) => {
    const [a, b] = [attend(ort, expected, width, headDim), attend(ort, found, width, headDim)];
    return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
  });
  const [many, few] = differences.map((difference) => difference <= TOLERANCE);
  if (few !== true)
    throw new Error(
      `attention with heads of ${headDim} differs from the CPU's by ${Math.max(...differences)}`,
    );
  return many === true ? Infinity : WIDTHS[1];
}

function attentionGraph(headDim: number): Uint8Array {
  const g = graph('attention');
  const qkv = g.input('qkv', 'float32', [1, 'sequence', (HEADS + 2 * KV_HEADS) * headDim]);
  const cache = (name: string) => g.input(name, 'float32', [1, KV_HEADS, 'length', headDim]);
  const past = [cache('key'), cache('value')];
  const lengths = [g.input('seqlens', 'int32', [1]), g.input('total', 'int32', [])];
  const [out, key, value] = g.nodes(
    'com.microsoft.GroupQueryAttention',
    [qkv, '', '', ...past, ...lengths],
    ['attended', 'keys', 'values'],
    { num_heads: HEADS, kv_num_heads: KV_HEADS },
  );
  g.output('out', out, 'float32', [1, 'sequence', HEADS * headDim]);
  g.output('present.key', key, 'float32', [1, KV_HEADS, 'length', headDim]);
  g.output('present.value', value, 'float32', [1, KV_HEADS, 'length', headDim]);
  return g.bytes();
}

/** What a run over `width` tokens says of numbers between -1 and 1. */
function attend(ort: Ort, session: OrtSession, width: number, headDim: number): Float32Array {
  const columns = (HEADS + 2 * KV_HEADS) * headDim;
  const numbers = Float32Array.from({ length: width * columns }, (_, i) => Math.sin(i * i));
  const out = new Float32Array(width * HEADS * headDim);
  using qkv = ort.tensor('float32', [1, width, columns], numbers);
  using attended = ort.tensor('float32', [1, width, HEADS * headDim], out);
  const size = KV_HEADS * WIDTHS[0] * headDim;
  const dims = [1, KV_HEADS, WIDTHS[0], headDim];
  using key = ort.tensor('float32', dims, new Float32Array(size));
  using value = ort.tensor('float32', dims, new Float32Array(size));
  using seqlens = ort.tensor('int32', [1], Int32Array.of(width - 1));
  using total = ort.tensor('int32', [], Int32Array.of(width));
  session
    .bind(
      { qkv, key, value, seqlens, total },
      { out: attended, 'present.key': key, 'present.value': value },
    )
    .run();
  return out;
}
