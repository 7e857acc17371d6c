/** A file is opened once, however many models it serves, and released with the last of them. */

import { linkSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OrtSession } from '../../../../src/runtime/ort/ort.ts';
import { sharedSession } from '../../../../src/runtime/ort/shared_session.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'coxswain-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Counts what is open. */
function counting() {
  const open: string[] = [];
  const session = (path: string | Uint8Array): OrtSession => {
    open.push(String(path));
    return {
      bind: () => ({ run: () => undefined }),
      allocator: () => {
        throw new Error('the CPU gives no memory');
      },
      [Symbol.dispose]: () => void open.splice(open.indexOf(String(path)), 1),
    };
  };
  return { open, session };
}

function fileAt(name: string): string {
  const path = join(folder, name);
  writeFileSync(path, name);
  return path;
}

test('the same file is opened once, by whatever name, and closed with its last user', () => {
  const ort = counting();
  const path = fileAt('model.onnx');
  linkSync(path, join(folder, 'twin.onnx'));
  const [one, other] = [sharedSession(ort, path), sharedSession(ort, join(folder, 'twin.onnx'))];
  expect(ort.open).toEqual([path]);
  one[Symbol.dispose]();
  one[Symbol.dispose](); // twice is once
  expect(ort.open).toEqual([path]);
  other[Symbol.dispose]();
  expect(ort.open).toEqual([]);
  sharedSession(ort, path);
  expect(ort.open).toEqual([path]);
});

test('other files, and other environments, have sessions of their own', () => {
  const [ort, another] = [counting(), counting()];
  const path = fileAt('a');
  sharedSession(ort, path);
  sharedSession(ort, fileAt('b'));
  sharedSession(another, path);
  expect(ort.open).toHaveLength(2);
  expect(another.open).toEqual([path]);
});

test('a file that is not there is named, and nothing is kept of it', () => {
  const ort = counting();
  expect(() => sharedSession(ort, join(folder, 'none'))).toThrow('none');
  expect(ort.open).toEqual([]);
});
