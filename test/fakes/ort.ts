/** One ONNX Runtime for a test file, with what was opened on it closed at the end. */

import { afterAll } from 'vitest';
import { Ort } from '../../src/runtime/ort/ort.ts';

let shared: Ort | null = null;
const opened: Disposable[] = [];

afterAll(() => {
  for (const one of opened.toReversed()) one[Symbol.dispose]();
  opened.length = 0;
  shared?.[Symbol.dispose]();
  shared = null;
});

/** One thread unless the first call says otherwise: other test files run beside this one, and idle threads spin. */
export function testOrt(threads = 1): Ort {
  return (shared ??= new Ort({ threads }));
}

/** Closes `one` after the last test of the file, the youngest first. */
export function closing<T extends Disposable>(one: T): T {
  opened.push(one);
  return one;
}
