/** A model of the config: where it is, what it is for, and how it is run. */

import { z } from 'zod';
import { integer, number, oneOf, strict, text } from '../core/fields.ts';

const fileLike = (form: RegExp, such: string) =>
  z.string('a string').regex(form, `a file of the folder, such as ${such}`);

export const model = strict({
  path: text(4096, 1).describe('Its folder, relative to this file.'),
  role: oneOf(['policy', 'guide', 'reward', 'value']).describe('What requests may use it for.'),
  head: oneOf(['scalar'])
    .optional()
    .describe('`scalar`: it says one number of a text; left out: as the manifest says.'),
  device: oneOf(['auto', 'cpu', 'cuda', 'webgpu'])
    .default('auto')
    .describe(
      'Where it runs; `auto` is `cpu`. Models of one config may be on different ones. `cuda` is refused at start with what is missing.',
    ),
  kv: oneOf(['auto', 'float32', 'int8'])
    .default('auto')
    .describe(
      'Language models: what their KV is kept as. `auto`: int8 on the CPU where `coxswain calibrate` has measured its steps, else float32.',
    ),
  graph: fileLike(/^(\w[\w.-]*\/)?\w[\w.-]*\.onnx$/, 'onnx/model_q4.onnx')
    .optional()
    .describe(
      'Folders that other tools exported: which of their graphs; left out: the most exact one with a usual name.',
    ),
  label: text(256, 1)
    .optional()
    .describe('Classifiers that other tools exported: name or index of the label that scores.'),
  latent_head: fileLike(/^\w[\w.-]*\.safetensors$/, 'head.safetensors')
    .optional()
    .describe('Language models as rewards: a head that reads a user’s latent, docs/rewards.md.'),
  reads: oneOf(['prefix', 'complete'])
    .optional()
    .describe(
      'Rewards: whether scores of unfinished answers mean something; left out: as the manifest says.',
    ),
  timeout_ms: integer(10, 3_600_000)
    .default(30_000)
    .describe('Rewards: how long a request waits for its scores before it goes on without them.'),
  critique_rows: integer(0, 1024)
    .default(0)
    .describe(
      'Language models that judge: KV rows, of `engine.max_seq` tokens each, for critiques that they write before a score, docs/rewards.md; 0: they write none.',
    ),
  kv_share: number(0.001, 1000)
    .optional()
    .describe(
      'Policies: how much KV memory theirs is, against the others’; those of one vocabulary add up.',
    ),
});
