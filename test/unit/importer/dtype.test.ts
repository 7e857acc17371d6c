/** Number formats, held to every half there is and to the halves around any float. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { toFloat32, toHalves } from '../../../src/importer/dtype.ts';

const everyHalf = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** By the definition of binary16. */
function valueOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

test('every half is read as its value, and written back as itself', () => {
  const values = toFloat32('F16', everyHalf.slice().buffer);
  const wrong = everyHalf.filter((bits) => !Object.is(values[bits], valueOf(bits)));
  expect([...wrong]).toEqual([]);
  const back = toHalves(values);
  const changed = everyHalf.filter((bits) => back[bits] !== bits && !Number.isNaN(values[bits]));
  expect([...changed]).toEqual([]);
});

test('a float becomes the nearest half, the even one of two', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -70000, max: 70000 }), (value) => {
      const [bits = 0] = toHalves(Float32Array.of(value));
      const off = Math.abs(value - valueOf(bits));
      if (Math.abs(value) >= 65520) {
        expect(bits & 0x7fff).toBe(0x7c00);
        return;
      }
      for (const other of [bits - 1, bits + 1].filter((b) =>
        Number.isFinite(valueOf(b & 0xffff)),
      )) {
        const away = Math.abs(value - valueOf(other & 0xffff));
        expect(off < away || (off === away && bits % 2 === 0)).toBe(true);
      }
    }),
    { numRuns: 2000 },
  );
  expect([...toHalves(Float32Array.of(2 ** -25, 1.5 * 2 ** -25, 3 * 2 ** -25))]).toEqual([0, 1, 2]);
});
