import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { buildCatalog } from '../../src/catalog.ts';
import { ConfigError, readConfig } from '../../src/ops/config.ts';
import { byteCodec } from '../fakes/codec.ts';

let root = '';
const loaded: string[] = [];
const loadCodec = (folder: string) => {
  loaded.push(folder);
  return byteCodec;
};

const YAML = `
policy: tales
models:
  tales: { path: tales, role: policy }
  arm: { path: arm, role: guide }
  rm: { path: rm, role: reward, head: scalar, reads: prefix }
engine: { max_seq: 128 }
presets: { 'tales:glad': { guides: [{ model: arm, weight: 2 }], max_cost: 100 } }
`;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'coxswain-catalog-'));
  loaded.length = 0;
  model('tales', { role: 'policy' });
  model('arm', { role: 'guide' });
  model('rm', { role: 'reward', head: 'scalar', reads: 'prefix' });
});
afterEach(() => rmSync(root, { recursive: true }));

function model(name: string, facts: object): void {
  const folder = join(root, name);
  const files = {
    'config.json': JSON.stringify({ max_position_embeddings: 512 }),
    'tokenizer.json': name === 'rm' ? 'own' : 'shared',
  };
  mkdirSync(folder);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  const digests = Object.entries(files).map(([file, text]) => [
    file,
    { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex') },
  ]);
  const manifest = { format: 1, name, weights: 'q8', created: 7, facts: {}, ...facts };
  writeFileSync(
    join(folder, 'manifest.json'),
    JSON.stringify({ ...manifest, files: Object.fromEntries(digests) as object }),
  );
}

const build = (yaml = YAML) => {
  const file = join(root, 'c.yaml');
  writeFileSync(file, yaml);
  return buildCatalog(readConfig(file), loadCodec);
};

function refusal(yaml: string): string {
  try {
    build(yaml);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('accepted');
}

test('models with the same tokenizer share a codec, and rewards are not read before they are used', () => {
  const catalog = build();
  expect(loaded).toEqual([join(root, 'tales')]);
  expect(catalog.models.get('arm')).toMatchObject({ role: 'guide', context: 512, created: 7 });
  expect(catalog.models.get('rm')?.codec).toBe(byteCodec);
  expect(catalog.models.get('rm')?.reads).toBe('prefix');
  expect(loaded).toHaveLength(2);
  expect(catalog.maxLength).toBe(128);
  expect(catalog.presets.get('tales:glad')).toMatchObject({ policy: 'tales', maxCost: 100 });
});

test.each([
  ['weight: 2', 'weight: 99', 'presets.tales:glad: alignment.guides[0].weight is 99'],
  ['model: arm,', 'model: gone,', 'presets.tales:glad: alignment.guides[0].model is "gone"'],
  ["'tales:glad'", 'arm', 'presets.arm has the name of a model'],
  ['arm, role: guide', 'arm, role: policy', 'models.arm.role is policy, but'],
  ['max_cost: 100', 'policy: arm', 'presets.tales:glad.policy is arm, whose role is guide'],
  ['max_cost: 100', 'policy: gone', 'presets.tales:glad.policy is gone, which is not among models'],
  ['reads: prefix', 'reads: complete', 'models.rm.reads is complete, but'],
  ['policy: tales', 'policy: arm', 'policy is arm, whose role is guide'],
  ['path: arm', 'path: gone', join('gone', 'manifest.json')],
])('%s as %s is refused by name', (was, is, message) => {
  expect(refusal(YAML.replace(was, is))).toContain(message);
});

test('a damaged file of any model stops the start', () => {
  writeFileSync(join(root, 'rm', 'tokenizer.json'), 'nwo');
  expect(refusal(YAML)).toContain(`${join(root, 'rm', 'tokenizer.json')} is damaged`);
});

describe('schedules of pruning that a reward stores', () => {
  const stored = { n: 8, alphas: { 32: 0.5, 4: 0.25 }, loss: 0.01, most: 0.02, saved: 0.3 };
  const again = (pruning: object[]): void => {
    rmSync(join(root, 'rm'), { recursive: true });
    model('rm', { role: 'reward', head: 'scalar', reads: 'prefix', facts: { pruning } });
  };

  test('are known by length', () => {
    again([stored]);
    const alphas = [
      { at: 4, alpha: 0.25 },
      { at: 32, alpha: 0.5 },
    ];
    expect(build().models.get('rm')?.schedules).toEqual([{ ...stored, alphas }]);
  });

  test.each([
    [{ most: 2 }, 'facts.pruning[0].most is 2'],
    [{ alphas: { 4: 1 } }, 'facts.pruning[0].alphas.4 is 1'],
    [{ alphas: { soon: 0.5 } }, 'facts.pruning[0].alphas.soon'],
    [{ n: 1 }, 'facts.pruning[0].n is 1'],
  ])('%j stops the start', (wrong, message) => {
    again([{ ...stored, ...wrong }]);
    expect(refusal(YAML)).toContain(message);
  });
});

test('critiques are written by language models only, as many at once as the config says', () => {
  const rows = (of: string) =>
    YAML.replace(`path: ${of}, role`, `path: ${of}, critique_rows: 3, role`);
  expect(build(rows('tales')).models.get('tales')!.critiqueRows).toBe(3);
  expect(build().models.get('tales')).not.toHaveProperty('critiqueRows');
  expect(() => build(rows('rm'))).toThrow(
    /models\.rm\.critique_rows is 3, but a model with a head/,
  );
});
