/** Real models for tests: a tiny one with random weights, made for the file, and the default pack's policy. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { LanguageModel } from '../../src/core/model.ts';
import { importModel } from '../../src/importer/import.ts';
import { TINY, writeRandomLlama, type RandomLlama } from '../../src/importer/random.ts';
import { loadDecoder } from '../../src/runtime/decoder.ts';
import { closing, testOrt } from './ort.ts';

export const TALES = new URL('../../models/tales', import.meta.url).pathname;

/** A folder as the importer leaves it; gone after the last test of the file. */
export function tinyFolder(
  changes: Partial<RandomLlama> = {},
  weights: 'int8' | 'float32' = 'int8',
): string {
  const root = mkdtempSync(join(tmpdir(), 'coxswain-model-'));
  afterAll(() => rmSync(root, { recursive: true }));
  const [from, to] = [join(root, 'checkpoint'), join(root, 'tiny')];
  writeRandomLlama(from, { ...TINY, ...changes });
  importModel({ from, to, role: 'policy', weights, created: 0 });
  return to;
}

export const decoder = (folder: string, name = 'policy'): LanguageModel =>
  closing(loadDecoder(testOrt(), folder, name));
