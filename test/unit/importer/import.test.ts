/** A checkpoint becomes a model folder: all of it or nothing. */

import { Tokenizer } from '@huggingface/tokenizers';
import * as ort from 'onnxruntime-node';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { importCommand } from '../../../src/importer/command.ts';
import { importModel } from '../../../src/importer/import.ts';
import { genaiLogits, randomCheckpoint, tokens } from './checkpoint.ts';

const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

/** A checkpoint and the folder to import it to. */
function checkpoint(score = false) {
  const { folder: from, config } = randomCheckpoint({ score });
  return { from, config, to: join(from, 'models', 'tiny') };
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
  const options = { from, to, role: 'guide', created: 1 } as const;
  expect(importModel(options)).toEqual(importModel(options));
});

test('a reward has a head and says what it reads', () => {
  const { from, to } = checkpoint(true);
  const options = { from, to, role: 'reward', created: 1 } as const;
  expect(importModel(options)).toMatchObject({ head: 'scalar', reads: 'complete' });
  expect(importModel({ ...options, reads: 'prefix' })).toMatchObject({ reads: 'prefix' });
  expect(() => importModel({ ...options, role: 'policy' })).toThrow('its role can be reward');
  expect(() => importModel({ ...options, layout: 'genai' })).toThrow('no genai layout');
});

test('the genai layout has logits at every position', async () => {
  const { from, to, config } = checkpoint();
  importModel({ from, to, role: 'policy', layout: 'genai', created: 1 });
  const model = await ort.InferenceSession.create(join(to, 'model.onnx'));
  expect(await genaiLogits(model, config, tokens(5))).toHaveLength(5);
  expect(json(join(to, 'manifest.json')).layout).toBe('genai');
});

test('a model is replaced, any other folder is left alone', () => {
  const { from, to } = checkpoint();
  const options = { from, to, role: 'policy', created: 1 } as const;
  importModel(options);
  writeFileSync(join(to, 'stale.txt'), 'old');
  importModel({ ...options, weights: 'float32' });
  expect(existsSync(join(to, 'stale.txt'))).toBe(false);
  expect(json(join(to, 'manifest.json')).weights).toBe('float32');
  rmSync(join(to, 'manifest.json'));
  expect(() => importModel(options)).toThrow('exists and is no model folder');
  expect(existsSync(join(to, 'model.onnx'))).toBe(true);
});

test('an import that fails leaves nothing behind, and the model that was there', () => {
  const { from, to } = checkpoint();
  const options = { from, to, role: 'policy', created: 1 } as const;
  const before = importModel(options);
  const weights = readFileSync(join(from, 'model.safetensors'));
  writeFileSync(join(from, 'model.safetensors'), weights.subarray(0, weights.length - 4));
  expect(() => importModel(options)).toThrow('model.safetensors: tensor');
  rmSync(join(from, 'model.safetensors'));
  expect(() => importModel(options)).toThrow('no model.safetensors; a checkpoint in several files');
  expect(json(join(to, 'manifest.json'))).toEqual(before);
  expect(readdirSync(dirname(to))).toEqual(['tiny']);
});

test('a tokenizer with more ids than the model has tokens is refused', () => {
  const { from, to } = checkpoint();
  const tokenizer = json(join(from, 'tokenizer.json'));
  tokenizer.added_tokens.push({ id: 320, content: '<|more|>' });
  writeFileSync(join(from, 'tokenizer.json'), JSON.stringify(tokenizer));
  expect(() => importModel({ from, to, role: 'policy', created: 1 })).toThrow('token id 320');
});

test('the command line imports, and says what is wrong with its arguments', () => {
  const { from, to } = checkpoint();
  const args = [from, '--out', to, '--role', 'policy'];
  expect(
    importCommand([...args, '--license', 'Apache-2.0', '--recipe', '../recipes'], 1),
  ).toContain('policy, int8-block32');
  const card = readFileSync(join(to, 'README.md'), 'utf8');
  expect(card).toContain('license: apache-2.0');
  expect(card).toContain('[../recipes](../recipes)');
  expect(() => importCommand([], 1)).toThrow('usage: import');
  expect(() => importCommand([from, '--out', to], 1)).toThrow('--role is missing');
  expect(() => importCommand([...args, '--weights', 'int4'], 1)).toThrow('--weights is int4');
  expect(() => importCommand([...args, '--speed', '9'], 1)).toThrow('--speed');
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
