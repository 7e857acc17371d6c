/** Graphs that other tools exported, held to the laws of our own rows, and to our own decoder of the same weights. */

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { AskedText, LanguageModel } from '../../../../src/core/model.ts';
import { DecodeEngine } from '../../../../src/engine/engine.ts';
import { laneWeights } from '../../../../src/guides/lane_weights.ts';
import { readExport } from '../../../../src/runtime/exports/export.ts';
import { loadExported } from '../../../../src/runtime/exports/exported.ts';
import { cpu } from '../../../../src/runtime/devices/device.ts';
import { graph, type GraphBuilder } from '../../../../src/runtime/onnx/graph.ts';
import { tailsOf } from '../../../../src/runtime/tail.ts';
import { loadCodec } from '../../../../src/runtime/text/tokenizer.ts';
import { opening } from '../../../fakes/engine.ts';
import { genaiFolder, halvesFolder, optimumFolder } from '../../../fakes/exports.ts';
import { decoder, tinyFolder } from '../../../fakes/models.ts';
import { closing, testOrt } from '../../../fakes/ort.ts';
import { fakeRules } from '../../../fakes/rule.ts';
import { anAbortFreesAndDisturbsNobody, sameSeedSameAnswer } from '../../../laws/engine.ts';
import type { MakeEngine } from '../../../laws/engine.ts';
import { kvRowsLaws, step, tokensOf } from '../../../laws/kv_rows.ts';
import { farthest } from '../../importer/checkpoint.ts';

testOrt(2); // the work of a row may be split, as it is when serving

const [FP16, MERGED] = ['onnx/model_fp16.onnx', 'onnx/decoder_model_merged.onnx'];
const KINDS: Readonly<Record<string, () => string>> = {
  'genai int8': () => genaiFolder('int8'),
  'genai float32': () => genaiFolder('float32'),
  growing: () => optimumFolder({ positions: true }),
  'growing without positions': () => optimumFolder({ positions: false }),
  'growing halves': () => optimumFolder({ positions: true, halves: true }, {}, FP16),
  'merged branches without positions': () => optimumFolder({ positions: false }, {}, MERGED, true),
};
/** Halves of logits and KV are so far from floats. */
const TOLERANCE: Readonly<Record<string, number>> = { 'growing halves': 5e-3 };
const load = (folder: string) => closing(loadExported(cpu(testOrt()), folder, 'policy'));

describe.each(Object.keys(KINDS))('%s', (kind) => {
  kvRowsLaws(() => load(KINDS[kind]!()));

  test('says what our own decoder of the same weights says: prompts, steps, judged texts, greedy text', () => {
    const own = decoder(tinyFolder({}, kind === 'genai int8' ? 'int8' : 'float32'));
    const other = load(KINDS[kind]!());
    const kvBytes = kind === 'growing halves' ? own.kvBytes / 2 : own.kvBytes;
    expect([other.width, other.context, other.kvBytes]).toEqual([own.width, own.context, kvBytes]);
    const near = TOLERANCE[kind] ?? 1e-4;
    const [a, b] = [own, other].map((model) => greedy(model, [tokensOf(70, 1), tokensOf(3, 2)]));
    expect(b!.tokens).toEqual(a!.tokens);
    a!.logits.forEach((logits, i) => expect(farthest(logits, b!.logits[i]!)).toBeLessThan(near));
    const texts = [40, 2, 67].map((length): AskedText => {
      const tokens = tokensOf(length, length);
      return { tokens, picks: tokens.slice(1).map((token, after) => ({ after, token })) };
    });
    const [right, said] = [own, other].map((model) => closing(model.texts(300)).logProbs(texts));
    right!.forEach((logProbs, i) => expect(farthest(logProbs, said![i]!)).toBeLessThan(near));
  });

  test('a prompt of several blocks read in pieces leaves the same bits', () => {
    const kv = closing(load(KINDS[kind]!()).open(2, 128));
    const prompt = tokensOf(120);
    const whole = kv.prefill(0, prompt, 0).slice();
    const [next] = step(kv, [9], [120]);
    for (const size of [5, 26, 37, 61]) {
      let logits = whole;
      for (let from = 0; from < 120; from += size)
        logits = kv.prefill(1, prompt.slice(from, from + size), from).slice();
      expect(logits, `pieces of ${size}`).toEqual(whole);
      kv.swap(0, 1, 120, 120);
      expect(step(kv, [9], [120]), `after pieces of ${size}`).toEqual([next]);
    }
  });

  test('the same seed, the same answer: alone, in a crowd, with and without a cache', async () => {
    const make = engineOver(KINDS[kind]!());
    const openings = Array.from({ length: 6 }, (_, i) =>
      opening({
        prompt: tokensOf([1, 2, 17, 33, 40, 70][i]!, i % 3),
        guides: [],
        sampling: { temperature: i % 3 === 0 ? 0 : 1.2 },
        maxTokens: 4 + 5 * (i % 3),
        seed: i,
      }),
    );
    await sameSeedSameAnswer(make, openings, [
      {},
      { prefixBytes: 0 },
      { iterationTokens: 9 },
      { classes: [{ length: 96, rows: 2 }] },
    ]);
    await anAbortFreesAndDisturbsNobody(make, openings[5]!, openings.slice(0, 3), [1, 3, 6]);
  });
});

/** Logits after two prompts, and along ten greedy steps of both together. */
function greedy(model: LanguageModel, prompts: readonly (readonly number[])[]) {
  const kv = closing(model.open(2, 128));
  const logits = prompts.map((prompt, row): Float32Array => kv.prefill(row, prompt, 0).slice());
  const tokens = [logits.map(best)];
  for (let i = 0; i < 10; i++) {
    const lengths = prompts.map((prompt) => prompt.length + i);
    const said = step(kv, tokens.at(-1)!, lengths);
    logits.push(...said);
    tokens.push(said.map(best));
  }
  return { logits, tokens };
}

const best = (logits: Float32Array): number => logits.indexOf(Math.max(...logits));

function engineOver(folder: string): MakeEngine {
  const { vocabulary } = loadCodec(folder);
  const models = new Map([['policy', load(folder)]]);
  return (options = {}) => {
    const classes = options.classes ?? [{ length: 96, rows: 8 }];
    const rows = classes.reduce((sum, each) => sum + each.rows, 0);
    const tails = tailsOf(testOrt(), { vocab: vocabulary.size, banned: vocabulary.banned, rows });
    const engine = new DecodeEngine({
      models,
      tails: closing(tails),
      vocabulary,
      laneWeights,
      vectors: new Map(),
      ruleOf: fakeRules(vocabulary),
      classes,
      iterationTokens: 512,
      prefixBytes: 1 << 20,
      queue: 64,
      now: () => 0,
      ...options,
    });
    return closing(engine);
  };
}

describe('genai with KV of halves', () => {
  kvRowsLaws(() => load(halvesFolder()));

  test('a step after a prompt says what the prompt with it says, in half the memory', () => {
    const model = load(halvesFolder());
    expect(model.kvBytes).toBe(2 * 2 * 16 * 2);
    const kv = closing(model.open(1, 128));
    const prompt = tokensOf(40);
    kv.prefill(0, prompt, 0);
    const [stepped] = step(kv, [9], [40]);
    const whole = kv.prefill(0, [...prompt, 9], 0);
    expect(farthest(stepped!, whole)).toBeLessThan(2e-2);
  });
});

test('of several graphs the most exact is served, or the one that is asked for; the start says which', () => {
  const folder = optimumFolder({ positions: true }, {}, 'onnx/model_quantized.onnx');
  expect(readExport(folder).graph).toBe('onnx/model_quantized.onnx');
  for (const name of ['model_q4.onnx', 'decoder_model_merged_int8.onnx', 'mine.onnx'])
    copyFileSync(join(folder, 'onnx', 'model_quantized.onnx'), join(folder, 'onnx', name));
  const { graph, limits } = readExport(folder);
  expect(graph).toBe('onnx/model_quantized.onnx');
  expect(limits[0]).toBe(
    'of its graphs it is onnx/model_quantized.onnx, not onnx/decoder_model_merged_int8.onnx, onnx/model_q4.onnx',
  );
  const asked = readExport(folder, 'onnx/mine.onnx');
  expect([asked.graph, asked.limits.length]).toEqual(['onnx/mine.onnx', limits.length - 1]);
  expect(Object.keys(asked.files)).toContain('onnx/mine.onnx');
  expect(() => readExport(folder, 'onnx/yours.onnx')).toThrow(/has no onnx\/yours\.onnx/);
});

test('what is inside branches is seen: dynamic quantisation in a merged graph', () => {
  const options = { positions: true, dynamic: true };
  const { limits, takes } = readExport(optimumFolder(options, {}, MERGED, true));
  expect(takes.cacheBranch).toBe(true);
  expect(limits.join()).toMatch(/token by token behind their first 32.*DynamicQuantizeLinear/);
});

test('the limits are said: a growing KV, and logits that depend on what runs beside', () => {
  expect(readExport(genaiFolder('int8')).limits).toEqual([
    'logits are computed at every position of a prompt',
  ]);
  const { layout, limits, shape } = readExport(optimumFolder({ positions: true, dynamic: true }));
  expect(layout).toBe('growing');
  expect(shape).toEqual({ layers: 2, kvHeads: 2, headDim: 16, vocab: 320, context: 128 });
  expect(limits.join()).toMatch(/KV is copied at every step.*DynamicQuantizeLinear/);
});

test('a graph whose scales are found at run time stays close, if not equal', () => {
  const model = load(optimumFolder({ positions: true, dynamic: true }));
  const kv = closing(model.open(2, 128));
  for (const row of [0, 1]) kv.prefill(row, tokensOf(20, row), 0);
  const [alone] = step(kv, [9], [20]);
  const [beside] = step(kv, [9, 11], [20, 20]);
  expect(farthest(alone!, beside!)).toBeLessThan(0.5);
});

test.each([
  ['encoder_hidden_states', (g: GraphBuilder) => g.input('encoder_hidden_states', 'float32', [])],
  ['token_type_ids', (g: GraphBuilder) => g.input('token_type_ids', 'int64', ['b', 's'])],
])('an input that is not supported is refused by its name: %s', (name, more) => {
  const folder = declared('float32', more);
  expect(() => readExport(folder)).toThrow(new RegExp(`model.onnx.*its input ${name} is not`));
});

test('KV of doubles, a graph without KV, a folder without a graph and a damaged graph are refused', () => {
  expect(() => readExport(declared('float64'))).toThrow(
    /its input past_key_values\.0\.key is float64 .*only float32/,
  );
  const folder = declared(null);
  expect(() => readExport(folder)).toThrow(/it has no input past_key_values\.0\.key/);
  writeFileSync(join(folder, 'onnx', 'model.onnx'), Buffer.from('no graph at all'));
  expect(() => readExport(folder)).toThrow(/model\.onnx is no ONNX file/);
  rmSync(join(folder, 'onnx'), { recursive: true });
  expect(() => readExport(folder)).toThrow(/holds no manifest\.json, and no graph/);
});

/** A folder with a graph that declares its inputs and outputs, and has nothing between them. */
function declared(
  kv: 'float32' | 'float64' | null,
  more: (g: GraphBuilder) => unknown = () => null,
): string {
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-declared-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const g = graph('declared');
  g.input('input_ids', 'int64', ['b', 's']);
  g.input('attention_mask', 'int64', ['b', 't']);
  for (const part of kv === null ? [] : ['key', 'value']) {
    const past = g.input(`past_key_values.0.${part}`, kv ?? 'float32', ['b', 2, 'p', 16]);
    g.output(`present.0.${part}`, past, kv ?? 'float32', ['b', 2, 't', 16]);
  }
  more(g);
  g.output('logits', g.scalar(0), 'float32', ['b', 's', 320]);
  mkdirSync(join(folder, 'onnx'));
  writeFileSync(join(folder, 'onnx', 'model.onnx'), g.bytes());
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ max_position_embeddings: 64, num_key_value_heads: 2, head_dim: 16 }),
  );
  return folder;
}
