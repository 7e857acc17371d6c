/** What a config takes of memory: the same rows that the engine makes, and every byte of a model's files. */

import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryPlan, planText } from '../../src/memory.ts';
import { ConfigError, readConfig } from '../../src/ops/config.ts';
import { libraryPath } from '../../src/runtime/ort/path.ts';
import { providersOf } from '../../src/runtime/ort/api.ts';
import { kvBytes, shapeOf } from '../../src/runtime/shape.ts';
import { groupByVocabulary } from '../../src/vocabularies.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { TALES, talesCodec, tinyFolder } from '../fakes/models.ts';
import { temporaryFolder } from './importer/checkpoint.ts';

const ARM = TALES.replace(/tales$/, 'arm-happy');

function plansOf(engine: string, device = 'auto', kv = 'auto') {
  const file = join(temporaryFolder(), 'c.yaml');
  writeFileSync(
    file,
    `policy: tales
models:
  tales: { path: ${TALES}, role: policy }
  arm: { path: ${ARM}, role: guide, device: ${device}, kv: ${kv} }
engine: ${engine}
`,
  );
  const config = readConfig(file);
  return memoryPlan(config, groupByVocabulary(config, talesCodec));
}

const planOf = (engine: string) => plansOf(engine)[0]!;

test('weights, rows, logits and caches add up', () => {
  const engine =
    '{ kv_slots: 8, max_seq: 256, prefix_bytes: 1000, rule_bytes: 10, reward_bytes: 7 }';
  const { parts, bytes } = planOf(engine);
  const [policy, guide] = [shapeOf(TALES), shapeOf(ARM)];
  const int8 = kvBytes({ ...policy, kv: 'int8' });
  const size = (folder: string) => statSync(join(folder, 'model.onnx')).size;
  expect(parts).toEqual([
    ['weights of tales', size(TALES)],
    ['weights of arm', size(ARM)],
    ['KV rows of tales, arm: 8 of 256 tokens', 8 * 256 * 2 * int8],
    ['workspace of tales: logits of 8 rows', 8 * 4 * (4 * policy.vocab + 2 * guide.vocab)],
    ['prompts that may come again', 1000],
    ['compiled rules, in two processes', 20],
    ['scores that are remembered', 7],
  ]);
  expect(bytes).toBe(parts.reduce((sum, [, each]) => sum + each, 0));
  const [floats] = plansOf(engine, 'auto', 'float32');
  expect(floats!.bytes - bytes).toBe(8 * 256 * (kvBytes(guide) - int8));
});

test('critiques have rows of their own, as long as the model reads, and logits', () => {
  const shape = shapeOf(TALES);
  const file = join(temporaryFolder(), 'c.yaml');
  const model = (rows: number) =>
    `{ path: ${TALES}, role: policy, kv: float32, critique_rows: ${rows} }`;
  const partsOf = (rows: number) => {
    writeFileSync(
      file,
      `policy: tales\nmodels: { tales: ${model(rows)} }\nengine: { kv_slots: 8, max_seq: 128 }\n`,
    );
    const config = readConfig(file);
    return memoryPlan(config, groupByVocabulary(config, talesCodec))[0]!.parts;
  };
  const [none, three] = [partsOf(0), partsOf(3)];
  expect(three.filter(([what]) => !none.some(([other]) => other === what))).toEqual([
    ['KV rows of tales for critiques: 3 of 128 tokens', 3 * 128 * kvBytes(shape)],
    ['workspace of critiques by tales: logits of 3 rows', 3 * 4 * 4 * shape.vocab],
  ]);
});

test('what steers rows, and a head that reads users, are counted', () => {
  const open = tinyFolder({}, 'int8', { steering: 1 });
  const yours = tinyFolder({}, 'int8', { role: 'reward', hiddenStates: true });
  writeFileSync(join(yours, 'head.safetensors'), Buffer.alloc(500));
  const file = join(temporaryFolder(), 'c.yaml');
  writeFileSync(
    file,
    `policy: open
models:
  open: { path: ${open}, role: policy }
  yours: { path: ${yours}, role: reward, latent_head: head.safetensors }
engine: { kv_slots: 8, max_seq: 128 }
`,
  );
  const config = readConfig(file);
  const [plan] = memoryPlan(
    config,
    groupByVocabulary(config, () => loadCodec(open)),
  );
  expect(plan!.parts).toContainEqual(['steering of open, of 8 rows', 8 * 4 * 64]);
  expect(plan!.parts).toContainEqual(['latent head of yours', 1000]);
});

test('the budget is a bound, with the numbers of what is beyond it', () => {
  const { bytes } = planOf('{ kv_slots: 8, max_seq: 256 }');
  expect(() => planOf(`{ kv_slots: 8, max_seq: 256, memory_bytes: ${bytes} }`)).not.toThrow();
  const less = () => planOf(`{ kv_slots: 8, max_seq: 256, memory_bytes: ${bytes - 1} }`);
  expect(less).toThrow(ConfigError);
  expect(less).toThrow(/take up to [\d.]+ MB, and engine\.memory_bytes is/);
  expect(less).toThrow(/workspace of tales: logits of 8 rows/);
});

test('what is on another device is counted there, with the rows that it stages', () => {
  const engine = '{ kv_slots: 8, max_seq: 256, prefix_bytes: 1000 }';
  const [whole] = plansOf(engine, 'cpu', 'float32');
  const [host, device] = plansOf(engine, 'webgpu');
  expect([host!.device, device!.device]).toEqual(['cpu', 'webgpu']);
  const kv = kvBytes(shapeOf(ARM)) * 256;
  expect(device!.parts).toEqual([
    ['weights of arm', statSync(join(ARM, 'model.onnx')).size],
    ['KV rows of arm: 8 of 256 tokens', (8 + 7) * kv],
  ]);
  expect(host!.bytes + device!.bytes - 7 * kv).toBe(whole!.bytes);
  const budget = `{ kv_slots: 8, max_seq: 256, device_memory_bytes: ${device!.bytes - 1} }`;
  expect(() => plansOf(budget, 'webgpu')).toThrow(/engine\.device_memory_bytes is/);
  expect(() => plansOf(budget)).not.toThrow();
});

test('KV that holds not one row is refused with what would do', () => {
  expect(() => planOf('{ kv_bytes: 1000 }')).toThrow(/engine\.kv_bytes is 1000; one KV row of 384/);
});

test('the plan is a line a part, and one for the whole', () => {
  const plan = planOf('{ kv_slots: 8, max_seq: 256 }');
  const lines = planText(plan).split('\n');
  expect(lines[0]).toBe('memory on cpu, at most:');
  expect(lines).toHaveLength(plan.parts.length + 2);
  expect(lines.at(-1)).toContain(`${(plan.bytes / 2 ** 20).toFixed(1)} MB`);
});

test('the library that npm ships names its providers', () => {
  expect(providersOf(libraryPath())).toContain('CPUExecutionProvider');
});
