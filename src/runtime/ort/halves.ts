/** binary16 numbers, which JavaScript has no arrays of: their bits in a Uint16Array, and what they are. */

/** The bits of the float32 with the value of a binary16: 1 sign bit, 5 of exponent, 10 of fraction. */
export function halfBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // until the leading one stands where it is implied
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 1023) << 13);
}

/** Every half's float, by its bits; 256 KB, made when it is first asked for. */
let table: Float32Array | null = null;

/** Writes the floats that `halves` are to the beginning of `to`. */
export function intoFloats(halves: Uint16Array, to: Float32Array): void {
  table ??= new Float32Array(Uint32Array.from({ length: 2 ** 16 }, (_, i) => halfBits(i)).buffer);
  for (let i = 0; i < halves.length; i++) to[i] = table[halves[i]!]!;
}
