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

/** Returns the scale: the largest weight is 127 steps. */
function fill8(weights: Float32Array, q: Uint8Array, start: number): number {
  const scale = Math.fround(Math.abs(extreme(weights, start)) / 127);
  for (let i = start; i < start + BLOCK; i++)
    q[i] = scale === 0 ? 128 : 128 + Math.max(-127, Math.min(127, Math.round(weights[i]! / scale)));
  return scale;
}

/** The largest weight is 8 steps below zero, whatever its sign: so all 16 levels are used. */
function fill4(weights: Float32Array, q: Uint8Array, start: number): number {
  const scale = Math.fround(extreme(weights, start) / -8);
  const level = (i: number): number =>
    scale === 0 ? 8 : Math.max(0, Math.min(15, 8 + Math.round(weights[i]! / scale)));
  for (let i = start; i < start + BLOCK; i += 2) q[i / 2] = level(i) | (level(i + 1) << 4);
  return scale;
}

/** The weight of a block that is farthest from zero. */
function extreme(weights: Float32Array, start: number): number {
  let most = 0;
  for (let i = start; i < start + BLOCK; i++) {
    const weight = weights[i]!;
    if (Math.abs(weight) > Math.abs(most)) most = weight;
  }
  return most;
}
