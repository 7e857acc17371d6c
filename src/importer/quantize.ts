/**
 * Block quantisation as MatMulNBits and GatherBlockQuantized read it: w ~ scale * (q - zero), one scale for each
 * 32 weights of a row. The zero is in the middle of the range, so that no zero points are stored.
 */

export const BLOCK = 32;

/** 8 bits: q is 1 to 255, zero 128. 4 bits: q is 0 to 15, zero 8, the first of two in the low half of a byte. */
export type Bits = 4 | 8;

export interface Quantized {
  /** [blocks, 32 * bits / 8] */
  readonly q: Uint8Array;
  /** [blocks] */
  readonly scales: Float32Array;
}

/**
 * Quantises whole blocks of finite weights.
 * The error of a weight is at most max|block| / 254 with 8 bits; with 4 it is at most max|block| / 16, or / 8 for a
 * weight almost as large as the largest and of the other sign.
 */
export function quantize(weights: Float32Array, bits: Bits): Quantized {
  const scales = new Float32Array(weights.length / BLOCK);
  const q = new Uint8Array((weights.length * bits) / 8);
  const fill = bits === 8 ? fill8 : fill4;
  for (let block = 0; block < scales.length; block++)
    scales[block] = fill(weights, q, block * BLOCK);
  return { q, scales };
}

/** The smallest normal float32: blocks with a smaller scale than this are zeros. */
const LEAST_SCALE = 2 ** -126;

/** Returns the scale: the largest weight is 127 steps. */
function fill8(weights: Float32Array, q: Uint8Array, start: number): number {
  const scale = Math.fround(Math.abs(extreme(weights, start)) / 127);
  if (scale < LEAST_SCALE) {
    q.fill(128, start, start + BLOCK);
    return 0;
  }
  // Storing truncates: the half makes it round. Three times as fast as Math.round and a clamp, with the same levels.
  for (let i = start; i < start + BLOCK; i++) q[i] = weights[i]! / scale + 128.5;
  return scale;
}

/** The largest weight is 8 steps below zero, whatever its sign: so all 16 levels are used. */
function fill4(weights: Float32Array, q: Uint8Array, start: number): number {
  const scale = Math.fround(extreme(weights, start) / -8);
  if (Math.abs(scale) < LEAST_SCALE) {
    q.fill(0x88, start / 2, (start + BLOCK) / 2);
    return 0;
  }
  for (let i = start; i < start + BLOCK; i += 2) {
    const low = Math.min(15, (weights[i]! / scale + 8.5) | 0);
    const high = Math.min(15, (weights[i + 1]! / scale + 8.5) | 0);
    q[i / 2] = low | (high << 4);
  }
  return scale;
}

/** The weight of a block that is farthest from zero. */
function extreme(weights: Float32Array, start: number): number {
  let most = 0;
  let found = 0;
  for (let i = start; i < start + BLOCK; i++) {
    const size = Math.abs(weights[i]!);
    if (size > most) {
      most = size;
      found = weights[i]!;
    }
  }
  return found;
}
