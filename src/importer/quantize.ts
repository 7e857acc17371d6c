/**
 * 8-bit block quantisation as MatMulNBits and GatherBlockQuantized read it: w ~ scale * (q - 128),
 * one scale for each 32 weights of a row. Symmetric, so that no zero points are stored.
 */

export const BLOCK = 32;

export interface Quantized {
  /** [N, K / 32, 32], 1 to 255; 128 is zero. */
  readonly q: Uint8Array;
  /** [N, K / 32], row after row. */
  readonly scales: Float32Array;
}

/**
 * Quantises the weight [N, K] of a linear layer with K inputs.
 * The error of a weight is at most half a step: max|block| / 254.
 * Throws if K is no multiple of 32 or a weight is not finite; `name` is for that message.
 */
export function quantize(weight: Float32Array, k: number, name: string): Quantized {
  if (k % BLOCK !== 0 || weight.length % k !== 0)
    throw new Error(`${name} has ${k} inputs; 8-bit weights need a multiple of ${BLOCK}`);
  const q = new Uint8Array(weight.length);
  const scales = new Float32Array(weight.length / BLOCK);
  for (let block = 0; block < scales.length; block++) {
    const start = block * BLOCK;
    const scale = Math.fround(largest(weight, start) / 127);
    if (!Number.isFinite(scale)) throw new Error(`${name} holds a weight that is not finite`);
    scales[block] = scale;
    for (let i = start; i < start + BLOCK; i++)
      q[i] =
        scale === 0
          ? 128
          : 128 + Math.max(-127, Math.min(127, Math.round((weight[i] ?? 0) / scale)));
  }
  return { q, scales };
}

/** The weights that the kernels compute with. */
export function dequantize({ q, scales }: Quantized): Float32Array {
  return Float32Array.from(q, (level, i) => (level - 128) * (scales[Math.floor(i / BLOCK)] ?? 0));
}

/** NaN if any of the block is. */
function largest(weight: Float32Array, start: number): number {
  let most = 0;
  for (let i = start; i < start + BLOCK; i++) most = Math.max(most, Math.abs(weight[i] ?? 0));
  return most;
}
