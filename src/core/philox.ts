/**
 * Philox4x32-10 (Salmon et al. 2011): random numbers as a function of (key, counter), so that a draw depends
 * on the seed, the branch and the position, and never on who else is in the batch.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const ROUNDS = 10;

type Words = [number, number, number, number];

/** The counter, and then the words that come of it: a draw allocates nothing. */
const words = new Uint32Array(4);
const seed64 = new BigUint64Array(1);
/** Its halves, the lower one first on every machine that Node runs on here. */
const key = new Uint32Array(seed64.buffer);

/** Four 32-bit words from a 128-bit counter and a 64-bit key. */
export function philox(counter: Readonly<Words>, [k0, k1]: readonly [number, number]): Words {
  words.set(counter);
  encrypt(k0, k1);
  return [words[0]!, words[1]!, words[2]!, words[3]!];
}

/** Turns the counter in `words` into random words. */
function encrypt(k0: number, k1: number): void {
  let [c0, c1, c2, c3] = [words[0]!, words[1]!, words[2]!, words[3]!];
  for (let round = 0; round < ROUNDS; round++) {
    const low0 = Math.imul(M0, c0);
    const low1 = Math.imul(M1, c2);
    const next0 = high(M1, c2) ^ c1 ^ k0;
    const next2 = high(M0, c0) ^ c3 ^ k1;
    c0 = next0;
    c1 = low1;
    c2 = next2;
    c3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

/** The upper 32 bits of a 64-bit product. */
function high(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return (
    (a1 * b1 + Math.floor((a0 * b1 + (middle & 0xffff)) / 0x10000) + Math.floor(middle / 0x10000)) |
    0
  );
}

/** What a number is drawn for; each has its own stream. */
export const STREAM = { token: 0, strategy: 1 } as const;

/**
 * A uniform number in [0, 1) with 53 bits.
 * @param seed 64 bits
 */
export function uniform(
  seed: bigint,
  position: number,
  branch: number,
  choice: number,
  stream: number,
): number {
  seed64[0] = seed;
  words[0] = position;
  words[1] = branch;
  words[2] = choice;
  words[3] = stream;
  encrypt(key[0]!, key[1]!);
  return ((words[0] >>> 5) * 0x4000000 + (words[1] >>> 6)) / 0x20000000000000;
}
