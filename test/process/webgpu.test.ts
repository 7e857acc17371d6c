/**
 * Models in a GPU's memory, held to what they say on the CPU. Runs where a WebGPU adapter is found: software Vulkan is
 * one (Mesa >= 25, docs/devices.md). Shaders are compiled as they are first used, which takes software a minute.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LanguageModel } from '../../src/core/model.ts';
import type { Codec } from '../../src/core/text.ts';
import { DecodeEngine } from '../../src/engine/engine.ts';
import { laneWeights } from '../../src/guides/lane_weights.ts';
import { loadDecoder } from '../../src/runtime/decoder.ts';
import { cpu, type Device } from '../../src/runtime/devices/device.ts';
import { loadExported } from '../../src/runtime/exports/exported.ts';
import { float, graph } from '../../src/runtime/onnx/graph.ts';
import { loadScorer } from '../../src/runtime/scorer.ts';
import { tailsOf } from '../../src/runtime/tail.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { webgpu } from '../../src/runtime/devices/webgpu.ts';
import { answer } from '../fakes/drive.ts';
import { opening } from '../fakes/engine.ts';
import { genaiFolder, optimumFolder } from '../fakes/exports.ts';
import { tinyFolder } from '../fakes/models.ts';
import { closing, testOrt } from '../fakes/ort.ts';
import { fakeRules } from '../fakes/rule.ts';
import { kvRowsLaws, step, tokensOf } from '../laws/kv_rows.ts';
import { serve } from '../support/server.ts';

/** float32 on both sides; logits of about 5. */
const CLOSE = 1e-4;
/** Kernels that read activations in 8 bits are of their own. */
const ROUGHLY = 0.5;

const folder = mkdtempSync(join(tmpdir(), 'coxswain-webgpu-'));
afterAll(() => rmSync(folder, { recursive: true }));

function configOf(models: Readonly<Record<string, string>>): string {
  const file = join(folder, 'config.yaml');
  const lines = Object.entries(models).map(([name, fields]) => `  ${name}: { ${fields} }`);
  const engine = 'engine: { kv_slots: 4, max_seq: 128, threads: 1 }';
  writeFileSync(file, ['policy: policy', engine, 'models:', ...lines, ''].join('\n'));
  return file;
}

function started(file: string, how: string): { code: number | null; said: string } {
  const args = ['dist/cli.js', 'serve', '--config', file, how];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { code: status, said: stdout + stderr };
}

const both = {
  policy: `path: ${tinyFolder({}, 'float32')}, role: policy, device: webgpu`,
  guide: `path: ${tinyFolder({ seed: 2 }, 'float32')}, role: policy, device: webgpu`,
};
/** In a process of its own: a driver may take its process with it. */
const probe = started(configOf(both), '--dry-run');
if (probe.code !== 0) console.warn(`WebGPU is not tested here: ${probe.said}`);

describe.runIf(probe.code !== 0)('without an adapter', () => {
  test('a config that asks for one is refused with the reason, and what would do', () => {
    expect(probe.code).toBe(1);
    expect(probe.said).toMatch(/models\.policy\.device is webgpu, but .*; auto and cpu would do/s);
  });
});

describe.skipIf(probe.code !== 0)('on a WebGPU adapter', () => {
  let device: Device;
  beforeAll(() => void (device = closing(webgpu(testOrt()))));
  const load = (path: string, on: Device = device) => closing(loadDecoder(on, path, 'model'));
  const host = (): Device => cpu(testOrt());

  test('a dry run says what lies in whose memory', () => {
    expect(probe.said).toMatch(/memory on cpu, at most:[^]*logits[^]*memory on webgpu, at most:/);
    expect(probe.said).toMatch(/KV rows of policy, guide: 4 of 128 tokens/);
  });

  describe('tiny float32', () => {
    kvRowsLaws(() => load(tinyFolder({}, 'float32')), CLOSE);
  });

  describe('an export of onnxruntime-genai', () => {
    kvRowsLaws(() => closing(loadExported(device, genaiFolder('float32'), 'genai')), CLOSE);
  });

  test.each([
    ['float32', CLOSE, () => tinyFolder({}, 'float32'), loadDecoder],
    ['int8', ROUGHLY, () => tinyFolder({}, 'int8'), loadDecoder],
    ['a growing export', CLOSE, () => optimumFolder({ positions: true }), loadExported],
  ])(
    '%s: prompts, steps and judged texts are what the CPU makes of them',
    (_, apart, make, open) => {
      const path = make();
      const [here, there] = [host(), device].map((on) => closing(open(on, path, 'model')));
      const said = [here!, there!].map((model) => spoken(model));
      said[0]!.forEach((logits, i) => expectNear(said[1]![i]!, logits, apart));
      const texts = [70, 2, 33].map((length) => {
        const tokens = tokensOf(length, length);
        return { tokens, picks: tokens.slice(1).map((token, after) => ({ after, token })) };
      });
      const [a, b] = [here!, there!].map((model) => closing(model.texts(300)).logProbs(texts));
      a!.forEach((logProbs, i) => expectNear(b![i]!, logProbs, apart));
    },
  );

  test('KV that is saved on one device can be loaded on the other', () => {
    const path = tinyFolder({}, 'float32');
    const [here, there] = [load(path, host()), load(path)].map((model) =>
      closing(model.open(3, 128)),
    );
    there!.prefill(2, tokensOf(50), 0);
    here!.load(0, there!.save(2, 50), 50);
    there!.load(0, here!.save(0, 50), 50);
    expectNear(step(there!, [9], [50])[0]!, step(here!, [9], [50])[0]!, CLOSE);
  });

  test('a scalar head reads texts as the CPU does, kept or not', () => {
    const path = tinyFolder({ score: true }, 'float32');
    const texts = [tokensOf(60), tokensOf(70), tokensOf(5, 2), tokensOf(1)];
    const expected = closing(loadScorer(host(), path, 'rm', 0)).score(texts);
    for (const keepBytes of [0, 1 << 20])
      expectNear(closing(loadScorer(device, path, 'rm', keepBytes)).score(texts), expected, CLOSE);
  });

  test('guided greedy text is the CPU’s, wherever policy and guide are', async () => {
    const [policy, guide] = [tinyFolder({}, 'float32'), tinyFolder({ seed: 2 }, 'float32')];
    const asked = [3, 40, 17].map((length, seed) =>
      opening({
        prompt: tokensOf(length, seed),
        guides: [['guide', 0.7]],
        sampling: { temperature: 0 },
        maxTokens: 16,
        seed,
      }),
    );
    const written = async (on: readonly [Device, Device]) => {
      const engine = engineOver(load(policy, on[0]), load(guide, on[1]), loadCodec(policy));
      const answers = await Promise.all(asked.map((one) => answer(engine, one)));
      engine.audit();
      return answers.map(({ tokens }) => tokens);
    };
    const expected = await written([host(), host()]);
    expect(await written([device, device])).toEqual(expected);
    expect(await written([device, host()])).toEqual(expected);
  });

  test('tokens and lengths that a device would read behind its tables are refused', () => {
    const kv = closing(load(tinyFolder({}, 'float32')).open(2, 16));
    expect(() => kv.prefill(1, [9, 320], 0)).toThrow(/tokens 0 to 319; it was given 320/);
    expect(() => step(kv, [-1], [2])).toThrow(/it was given -1/);
    expect(() => step(kv, [9], [16])).toThrow(/17 positions; it has room for 16/);
  });

  test('a graph that the provider would run wrongly is refused', () => {
    const path = join(folder, 'capped.onnx');
    writeFileSync(path, cappedGraph());
    expect(() => device.session(path)).toThrow(/capped\.onnx caps its attention softly/);
  });

  test('a server answers from it as from the CPU', async () => {
    const ask = async (file: string) => {
      await using server = await serve(['--config', file]);
      expect(server.output()).toContain(
        file.includes('host') ? '"device":"cpu"' : '"device":"webgpu"',
      );
      const response = await fetch(`${server.base}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          prompt: 'One day, ',
          temperature: 0,
          max_tokens: 24,
          alignment: { guides: [{ model: 'guide', weight: 0.5 }] },
        }),
      });
      expect(response.status).toBe(200);
      return ((await response.json()) as { choices: unknown }).choices;
    };
    const file = configOf(both);
    const there = await ask(file);
    const hostFile = join(folder, 'host.yaml');
    writeFileSync(hostFile, readFileSync(file, 'utf8').replaceAll('webgpu', 'cpu'));
    expect(there).toEqual(await ask(hostFile));
  });
});

/** Logits after two prompts and along steps of both. */
function spoken(model: LanguageModel): Float32Array[] {
  const kv = closing(model.open(3, 128));
  const prompts = [tokensOf(70, 1), tokensOf(3, 2)];
  const said: Float32Array[] = prompts.map((prompt, row) => kv.prefill(row + 1, prompt, 0).slice());
  kv.copy(2, 0, 3);
  for (const i of [0, 1, 2])
    said.push(...step(kv, [9 + i, 10 + i, 11 + i], [3 + i, 70 + i, 3 + i]));
  return said;
}

function expectNear(found: Float32Array, expected: Float32Array, apart: number): void {
  const most = found.reduce((far, x, i) => Math.max(far, Math.abs(x - expected[i]!)), 0);
  expect(most).toBeLessThanOrEqual(apart);
}

function engineOver(policy: LanguageModel, guide: LanguageModel, codec: Codec): DecodeEngine {
  const { vocabulary } = codec;
  const { size, banned } = vocabulary;
  return closing(
    new DecodeEngine({
      models: new Map(Object.entries({ policy, guide })),
      tails: closing(tailsOf(testOrt(), { vocab: size, banned, rows: 8 })),
      vocabulary,
      laneWeights,
      vectors: new Map(),
      ruleOf: fakeRules(vocabulary),
      classes: [{ length: 128, rows: 8 }],
      iterationTokens: 64,
      prefixBytes: 1 << 20,
      queue: 64,
      now: () => 0,
    }),
  );
}

/** Attention of one head whose scores are capped. */
function cappedGraph(): Uint8Array {
  const g = graph('capped');
  const inputs = ['qkv', 'key', 'value'].map((name) => g.input(name, 'float32', ['a', 'b', 'c']));
  const lengths = ['seqlens', 'total'].map((name) => g.input(name, 'int32', ['n']));
  const [qkv, ...past] = inputs;
  const [out] = g.nodes(
    'com.microsoft.GroupQueryAttention',
    [qkv!, '', '', ...past, ...lengths],
    ['attended', 'keys', 'values'],
    { num_heads: 1, kv_num_heads: 1, softcap: float(50) },
  );
  g.output('out', out, 'float32', ['a', 'b', 'c']);
  return g.bytes();
}
