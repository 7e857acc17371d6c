/** Makes a model folder from a Hugging Face Llama checkpoint: the graph, the tokenizer, a manifest and a model card. */

import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { modelCard } from './card.ts';
import { parseLlamaConfig, type LlamaConfig } from './config.ts';
import { buildLlama, type Layout } from './llama.ts';
import { writePack, type Manifest, type Role } from './pack.ts';
import { openSafetensors } from './safetensors.ts';
import type { Weights } from './weights.ts';

export interface ImportOptions {
  /** A folder with config.json, model.safetensors, tokenizer.json, tokenizer_config.json and, if any, facts.json. */
  readonly from: string;
  /** The model folder to write; its last part is the model's name. */
  readonly to: string;
  readonly role: Role;
  /** Default: int8. */
  readonly weights?: Weights;
  /** Default: cached, the one this server runs. */
  readonly layout?: Layout;
  /** Rewards only. Default: complete. */
  readonly reads?: 'prefix' | 'complete';
  /** SPDX identifier of the model's licence, for the card. */
  readonly license?: string;
  /** Where its training is described, for the card. */
  readonly recipe?: string;
  /** Unix seconds. */
  readonly created: number;
}

/** Imports a checkpoint and returns the manifest. Throws an Error that says which file or field is at fault; then nothing is written. */
export function importModel(options: ImportOptions): Manifest {
  const { from, to, role, weights = 'int8', layout = 'cached', created } = options;
  const config = parseLlamaConfig(readJson(from, 'config.json'));
  if (config.kind === 'score' && role !== 'reward')
    throw new Error(`${from} has a scalar head: its role can be reward, given ${role}`);
  if (config.kind === 'score' && layout !== 'cached')
    throw new Error(`a model with a scalar head has no ${layout} layout`);
  checkTokenizer(from, config);
  const facts = existsSync(join(from, 'facts.json')) ? readJson(from, 'facts.json') : {};
  const described = {
    role,
    ...(config.kind === 'score' ? { head: 'scalar' as const } : {}),
    ...(role === 'reward' ? { reads: options.reads ?? ('complete' as const) } : {}),
    weights: weights === 'int8' ? ('int8-block32' as const) : weights,
    ...(layout === 'genai' ? { layout } : {}),
    created,
    facts,
  };
  const card = modelCard({
    ...described,
    name: basename(resolve(to)),
    config,
    reads: described.reads,
    license: options.license ?? null,
    recipe: options.recipe ?? null,
  });
  const files = {
    'model.onnx': graphOf(from, config, weights, layout),
    'config.json': readInput(from, 'config.json'),
    'tokenizer.json': readInput(from, 'tokenizer.json'),
    'tokenizer_config.json': readInput(from, 'tokenizer_config.json'),
    'README.md': Buffer.from(card),
  };
  return writePack(to, files, described);
}

function graphOf(from: string, config: LlamaConfig, weights: Weights, layout: Layout): Uint8Array {
  const path = join(from, 'model.safetensors');
  if (!existsSync(path))
    throw new Error(`${from} has no model.safetensors; a checkpoint in several files is not read`);
  using source = openSafetensors(path);
  return buildLlama(config, source, { weights, layout });
}

function readInput(from: string, name: string): Buffer {
  const path = join(from, name);
  if (!existsSync(path)) throw new Error(`${from} has no ${name}`);
  return readFileSync(path);
}

function readJson(from: string, name: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(readInput(from, name).toString('utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`${join(from, name)}: ${error.message}`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${join(from, name)} holds no JSON object`);
  return { ...value };
}

/** A token id beyond the embedding would be read out of bounds. */
function checkTokenizer(from: string, { vocab }: LlamaConfig): void {
  const { model, added_tokens } = readJson(from, 'tokenizer.json');
  const pieces = (model as { vocab?: Record<string, unknown> } | undefined)?.vocab ?? {};
  const added = ((added_tokens ?? []) as readonly { id?: unknown }[]).map((token) => token.id);
  const ids = [...Object.values(pieces), ...added];
  const wrong = ids.find((id) => typeof id !== 'number' || id < 0 || id >= vocab);
  if (ids.length === 0 || wrong !== undefined)
    throw new Error(
      `${from}: tokenizer.json has token id ${String(wrong)}; the model has ${vocab} tokens`,
    );
}
