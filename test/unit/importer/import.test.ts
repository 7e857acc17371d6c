/** A checkpoint becomes a model folder: all of it or nothing. */

import { Tokenizer } from '@huggingface/tokenizers';
import * as ort from 'onnxruntime-node';
import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { importCommand } from '../../../src/importer/command.ts';
import { importModel, prepareImport } from '../../../src/importer/import.ts';
import { readManifest } from '../../../src/ops/manifest.ts';
import { shapeOf } from '../../../src/runtime/shape.ts';
import { genaiLogits, randomCheckpoint, tokens } from './checkpoint.ts';

const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

/** A checkpoint and the folder to import it to. */
function checkpoint(score = false) {
  const { folder: from, spec } = randomCheckpoint({ score });
  return { from, spec, to: join(from, 'models', 'tiny') };
}

test('a policy is imported with a manifest that describes every file', async () => {
  const { from, to } = checkpoint();
  const facts = { entropy: { p50: 1.2 }, metrics: { perplexity: 3.5, curve: [{ loss: 1 }] } };
  writeFileSync(join(from, 'facts.json'), JSON.stringify(facts));
  const manifest = importModel({ from, to, role: 'policy', created: 1700000000 });
  expect(json(join(to, 'manifest.json'))).toEqual(manifest);
  expect(manifest).toMatchObject({
    format: 1,
    name: 'tiny',
    role: 'policy',
    weights: 'int8-block32',
    created: 1700000000,
    facts,
  });
  expect(manifest).not.toHaveProperty('head');
  expect(readdirSync(to).toSorted()).toEqual(
    [...Object.keys(manifest.files), 'manifest.json'].toSorted(),
  );
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const content = readFileSync(join(to, name));
    expect(content).toHaveLength(bytes);
    expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
  }
  expect(readFileSync(join(to, 'README.md'), 'utf8')).toContain('| metrics.perplexity | 3.5 |');
  expect(readdirSync(dirname(to))).toEqual(['tiny']);
  await ort.InferenceSession.create(join(to, 'model.onnx'));
});

test('the same checkpoint gives the same bytes', () => {
  const { from, to } = checkpoint();
  const options = { from, to, role: 'guide', force: true, created: 1 } as const;
  expect(importModel(options)).toEqual(importModel(options));
});

test('a reward has a head and says what it reads', () => {
  const { from, to } = checkpoint(true);
  const options = { from, to, role: 'reward', force: true, created: 1 } as const;
  expect(importModel(options)).toMatchObject({ head: 'scalar', reads: 'complete' });
  expect(importModel({ ...options, reads: 'prefix' })).toMatchObject({ reads: 'prefix' });
  expect(() => importModel({ ...options, role: 'policy' })).toThrow(
    'its role can be reward or value',
  );
  expect(() => importModel({ ...options, layout: 'genai' })).toThrow('no genai layout');
});

test('the genai layout has logits at every position', async () => {
  const { from, to, spec } = checkpoint();
  importModel({ from, to, role: 'policy', layout: 'genai', created: 1 });
  const model = await ort.InferenceSession.create(join(to, 'model.onnx'));
  expect(await genaiLogits(model, spec, tokens(5))).toHaveLength(5);
  expect(json(join(to, 'manifest.json')).layout).toBe('genai');
});

test('a model is replaced if forced, any other folder is left alone', () => {
  const { from, to } = checkpoint();
  const options = { from, to, role: 'policy', created: 1 } as const;
  importModel(options);
  writeFileSync(join(to, 'stale.txt'), 'old');
  expect(() => importModel(options)).toThrow('replace it with --force');
  importModel({ ...options, weights: 'float32', force: true });
  expect(existsSync(join(to, 'stale.txt'))).toBe(false);
  expect(json(join(to, 'manifest.json')).weights).toBe('float32');
  rmSync(join(to, 'manifest.json'));
  expect(() => importModel({ ...options, force: true })).toThrow('exists and is no model folder');
  expect(existsSync(join(to, 'model.onnx'))).toBe(true);
});

test('an import that fails leaves nothing behind, and the model that was there', () => {
  const { from, to } = checkpoint();
  const options = { from, to, role: 'policy', created: 1 } as const;
  const before = importModel(options);
  const weights = readFileSync(join(from, 'model.safetensors'));
  const again = () => importModel({ ...options, force: true });
  writeFileSync(join(from, 'model.safetensors'), weights.subarray(0, weights.length - 4));
  expect(again).toThrow('model.safetensors: tensor');
  const broken = Buffer.from(weights);
  broken.writeFloatLE(NaN, weights.length - 4);
  writeFileSync(join(from, 'model.safetensors'), broken);
  expect(again).toThrow('tensor model.norm.weight holds NaN at value 63');
  rmSync(join(from, 'model.safetensors'));
  expect(again).toThrow('no model.safetensors and no model.safetensors.index.json');
  expect(json(join(to, 'manifest.json'))).toEqual(before);
  expect(readdirSync(dirname(to))).toEqual(['tiny']);
});

test('an import that is given up leaves nothing behind; one that was killed is swept up by the next', () => {
  const { from, to } = checkpoint();
  const options = { from, to, role: 'policy', created: 1 } as const;
  using prepared = prepareImport(options);
  const writing = prepared.write();
  writing.next();
  expect(readdirSync(dirname(to))).toEqual([`tiny.new-${process.pid}`]);
  writing.return(undefined as never);
  expect(readdirSync(dirname(to))).toEqual([]);
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  mkdirSync(join(dirname(to), `tiny.new-${pid}`));
  mkdirSync(join(dirname(to), `other.new-${pid}`));
  importModel(options);
  expect(readdirSync(dirname(to)).toSorted()).toEqual([`other.new-${pid}`, 'tiny']);
});

test('a tokenizer with more ids than the model has tokens is refused', () => {
  const { from, to } = checkpoint();
  const tokenizer = json(join(from, 'tokenizer.json'));
  tokenizer.added_tokens.push({ id: 320, content: '<|more|>' });
  writeFileSync(join(from, 'tokenizer.json'), JSON.stringify(tokenizer));
  expect(() => importModel({ from, to, role: 'policy', created: 1 })).toThrow('token id 320');
});

/** What the command prints in the end. */
function command(args: readonly string[]): string {
  const steps = importCommand(args, 1);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
    expect(value).toMatch(/: \d+\.\d MB of \d+\.\d MB$/);
  }
}

test('the command line imports, and says what is wrong with its arguments', () => {
  const { from, to } = checkpoint();
  const args = [from, '--out', to, '--role', 'policy'];
  expect(command([...args, '--license', 'Apache-2.0', '--recipe', '../recipes'])).toContain(
    'Llama, policy, int8-block32',
  );
  const card = readFileSync(join(to, 'README.md'), 'utf8');
  expect(card).toContain('license: apache-2.0');
  expect(card).toContain('[../recipes](../recipes)');
  for (const [format, stored] of [
    ['none', 'float32'],
    ['fp16', 'float16'],
    ['int4', 'int4-block32'],
  ] as const)
    expect(command([...args, '--force', '--quantize', format])).toContain(stored);
  expect(() => command([])).toThrow('usage: import');
  expect(() => command([from, '--out', to])).toThrow('--role is missing');
  expect(() => command([...args, '--quantize', 'int2'])).toThrow('--quantize is int2');
  expect(() => command([...args, '--context', 'long'])).toThrow('--context is long');
  expect(() => command([...args, '--speed', '9'])).toThrow('--speed');
});

test('a dry run says what would be written, and writes nothing', () => {
  const { from, to } = checkpoint();
  const said = command([from, '--out', to, '--role', 'policy', '--context', '64', '--dry-run']);
  expect(said).toContain('Llama, policy, int8-block32; nothing was written');
  expect(said).toMatch(/model\.onnx +0\.1 MB/);
  expect(said).toContain('KV                       0.5 KB a token, 0.0 MB for a row of all 64');
  expect(existsSync(dirname(to))).toBe(false);
});

test('a shorter context is what the server finds', () => {
  const { from, to } = checkpoint();
  const { shape } = importModel({ from, to, role: 'policy', context: 64, created: 1 });
  expect(shape).toEqual({ layers: 2, kvHeads: 2, headDim: 16, vocab: 320, context: 64 });
  expect(readManifest(to).shape).toEqual(shape);
  expect(shapeOf(to)).toEqual(shape);
});

test('the random checkpoint has a tokenizer that spells any text in bytes', () => {
  const { from } = checkpoint();
  const tokenizer = new Tokenizer(
    json(join(from, 'tokenizer.json')),
    json(join(from, 'tokenizer_config.json')),
  );
  const text = 'Naïve  façade: 猫!\n';
  const { ids } = tokenizer.encode(text);
  expect(ids).toHaveLength(Buffer.byteLength(text));
  expect(tokenizer.decode(ids)).toBe(text);
});
