/** Real models for tests: a tiny one with random weights, made for the file, and the default pack's policy. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { LanguageModel } from '../../src/core/model.ts';
import type { Codec } from '../../src/core/text.ts';
import { DecodeEngine, type EngineOptions } from '../../src/engine/engine.ts';
import { laneWeights } from '../../src/guides/lane_weights.ts';
import { importModel, type ImportOptions } from '../../src/importer/import.ts';
import { TINY, writeRandomLlama, type RandomLlama } from '../support/random_llama.ts';
import { loadDecoder, type Decoder } from '../../src/runtime/decoder.ts';
import { cpu } from '../../src/runtime/devices/device.ts';
import { tailsOf } from '../../src/runtime/tail.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { fakeRules } from './rule.ts';
import { closing, testOrt } from './ort.ts';

export const TALES = new URL('../../models/tales', import.meta.url).pathname;

/** A folder as the importer leaves it; gone after the last test of the file. */
export function tinyFolder(
  changes: Partial<RandomLlama> = {},
  weights: 'int8' | 'float32' = 'int8',
  options: Partial<ImportOptions> = {},
): string {
  const root = mkdtempSync(join(tmpdir(), 'coxswain-model-'));
  afterAll(() => rmSync(root, { recursive: true }));
  const [from, to] = [join(root, 'checkpoint'), join(root, 'tiny')];
  writeRandomLlama(from, { ...TINY, ...changes });
  const role = changes.score === true ? 'reward' : 'policy';
  importModel({ from, to, role, weights, created: 0, ...options });
  return to;
}

export const decoder = (folder: string, name = 'policy', device = cpu(testOrt())): Decoder =>
  closing(loadDecoder(device, folder, name));

let models: Map<string, LanguageModel> | null = null;
let codec: Codec | null = null;
export const talesCodec = (): Codec => (codec ??= loadCodec(TALES));

/** An engine over the default pack's policy and guides, whose weights are loaded once per test file. */
export function talesEngine(options: Partial<EngineOptions> = {}): DecodeEngine {
  models ??= new Map(
    ['tales', 'arm-happy', 'arm-happy-small', 'arm-kind'].map((name) => [
      name,
      decoder(TALES.replace(/tales$/, name), name),
    ]),
  );
  const classes = options.classes ?? [{ length: 384, rows: 24 }];
  const rows = classes.reduce((sum, c) => sum + c.rows, 0);
  const { vocabulary } = talesCodec();
  const engine = new DecodeEngine({
    models,
    tails: closing(tailsOf(testOrt(), { vocab: vocabulary.size, banned: vocabulary.banned, rows })),
    vocabulary,
    laneWeights,
    vectors: new Map(),
    ruleOf: fakeRules(vocabulary),
    classes,
    iterationTokens: 512,
    prefixBytes: 1 << 24,
    queue: 64,
    now: () => 0,
    ...options,
  });
  return closing(engine);
}
