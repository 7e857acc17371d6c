/** Number formats of weights: what is stored to float32, and float32 to float16. */

import { halfBits } from '../runtime/ort/halves.ts';

export type Dtype = 'F32' | 'F16' | 'BF16';

/** Little-endian values as float32; float32 itself is not copied. */
export function toFloat32(dtype: Dtype, bytes: ArrayBuffer): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes);
  const stored = new Uint16Array(bytes);
  const bits = new Uint32Array(stored.length);
  if (dtype === 'BF16') for (let i = 0; i < bits.length; i++) bits[i] = stored[i]! << 16;
  else for (let i = 0; i < bits.length; i++) bits[i] = halfBits(stored[i]!);
  return new Float32Array(bits.buffer);
}

/** The nearest binary16 of each value, as its bits; even on ties, infinite from 65520 on. */
export function toHalves(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) halves[i] = nearestHalf(bits[i]!);
  return halves;
}

function nearestHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  // Normal in both: 13 bits of fraction are rounded away, a carry goes into the exponent, which starts 112 later.
  if (size >= 0x38800000 && size < 0x477ff000)
    return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  if (size > 0x7f800000) return sign | 0x7e00;
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size < 0x33000001) return sign; // below half of the smallest
  // Below the smallest normal the fraction keeps its leading one and loses more bits instead.
  const fraction = (size & 0x7fffff) | 0x800000;
  const dropped = 126 - (size >> 23);
  const kept = fraction >> dropped;
  const rest = fraction & ((1 << dropped) - 1);
  const half = 1 << (dropped - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}
