/** Heads that read a user's latent (VPL): files of their models' folders, held to the states that the graph gives. */

import { join } from 'node:path';
import { fileIn } from './importer/checkpoint.ts';
import { openSafetensors } from './importer/safetensors.ts';
import type { TensorSource } from './importer/safetensors.ts';
import { ConfigError, reason } from './ops/config.ts';
import type { ModelEntry } from './ops/config.ts';
import type { Manifest } from './ops/manifest.ts';
import type { LatentEncoder } from './rewards/latent_encoder.ts';
import type { LatentHead, Linear } from './rewards/latent_head.ts';
import { outlineOf } from './runtime/onnx/outline.ts';

/** 64 million values. */
const MAX_BYTES = 256 * 2 ** 20;
const STATES = 'hidden_states';

interface ReadHead extends LatentHead {
  /** Width of the states that it reads. */
  readonly hidden: number;
}

/**
 * The head that a model's entry names; null: it names none. Tensors are named as VPL's own code names them: layers
 * `decoder._model.N.weight` [outputs, inputs] and `.bias` in the order of N, and perhaps `score.weight` before them.
 * @throws ConfigError that names the model, the file and the tensor at fault
 */
export function readLatentHead(
  name: string,
  { role, latent_head: file }: Pick<ModelEntry, 'role' | 'latent_head'>,
  { folder, head, layout }: Manifest,
): ReadHead | null {
  if (file === undefined) return null;
  try {
    if (role !== 'reward') throw new Error(`it is for rewards; this is a ${role}`);
    if (head !== undefined || layout !== undefined)
      throw new Error('it is for imported language models, not for those with a head of their own');
    const width = statesWidth(folder);
    using tensors = openSafetensors(fileIn(folder, file, MAX_BYTES));
    return headOf(tensors, width);
  } catch (error) {
    throw new ConfigError(`models.${name}.latent_head is ${file}: ${reason(error)}`);
  }
}

function headOf(tensors: TensorSource, hidden: number): ReadHead {
  const embedding = embeddingIn(tensors, hidden);
  const names = layersOf(tensors, 'decoder._model');
  const embedded = embedding?.bias.length ?? hidden;
  const latent = (tensors.shape(`${names[0]!}.weight`)[1] ?? 0) - embedded;
  if (latent < 1)
    throw new Error(
      `${names[0]!}.weight reads ${latent + embedded} numbers; an answer alone has ${embedded}`,
    );
  const layers = chainOf(tensors, names, embedded + latent);
  const outputs = layers.at(-1)!.bias.length;
  if (outputs !== 1)
    throw new Error(`${names.at(-1)!}.weight gives ${outputs} numbers; a reward is one`);
  return { embedding, layers, latent, hidden };
}

/** Width of the states that a graph gives. @throws Error if it gives none */
export function statesWidth(folder: string): number {
  const width = outlineOf(join(folder, 'model.onnx')).outputs.get(STATES)?.dims.at(-1);
  if (typeof width === 'number') return width;
  throw new Error(
    'the graph has no output hidden_states; import its checkpoint with --hidden-states',
  );
}

/**
 * What makes a user's latent of pairs, of the same file: layers `pair_encoder._model.N`, and `sequence_encoder.w_q`, `w_k`,
 * `w_v`, `mean_layer` and `log_var_layer`.
 * @throws Error that names the file and the tensor at fault
 */
export function readLatentEncoder(folder: string, file: string, hidden: number): LatentEncoder {
  using tensors = openSafetensors(fileIn(folder, file, MAX_BYTES));
  try {
    const embedding = embeddingIn(tensors, hidden);
    const names = layersOf(tensors, 'pair_encoder._model');
    const pair = chainOf(tensors, names, 2 * (embedding?.bias.length ?? hidden));
    const width = pair.at(-1)!.bias.length;
    const part = (name: string): Linear => linearOf(tensors, `sequence_encoder.${name}`, width);
    const encoder = {
      query: part('w_q'),
      key: part('w_k'),
      value: part('w_v'),
      mean: part('mean_layer'),
      logVariance: part('log_var_layer'),
    };
    for (const [name, { bias }] of Object.entries(encoder).slice(0, 3))
      if (bias.length !== width)
        throw new Error(
          `the ${name} of sequence_encoder has ${bias.length} outputs; it must have ${width}`,
        );
    return { embedding, pair, ...encoder };
  } catch (error) {
    throw new Error(`${join(folder, file)}: ${reason(error)}`, { cause: error });
  }
}

const embeddingIn = (tensors: TensorSource, hidden: number): Linear | null =>
  tensors.names.includes('score.weight') ? linearOf(tensors, 'score', hidden) : null;

/** Names of the layers under a name, in the order of their numbers. */
function layersOf(tensors: TensorSource, under: string): string[] {
  const numbers = tensors.names.flatMap((name) => {
    const number = name.slice(under.length + 1, -'.weight'.length);
    return name === `${under}.${number}.weight` && /^\d{1,4}$/.test(number) ? [number] : [];
  });
  if (numbers.length === 0) throw new Error(`there is no tensor ${under}.0.weight`);
  return numbers.toSorted((a, b) => Number(a) - Number(b)).map((number) => `${under}.${number}`);
}

/** Layers of which each reads what the one before it gives. */
function chainOf(tensors: TensorSource, names: readonly string[], first: number): Linear[] {
  let inputs = first;
  return names.map((name) => {
    const linear = linearOf(tensors, name, inputs);
    inputs = linear.bias.length;
    return linear;
  });
}

/** Without a bias it is zero. */
function linearOf(tensors: TensorSource, name: string, inputs: number): Linear {
  const [weight, bias] = [`${name}.weight`, `${name}.bias`];
  const shape = tensors.shape(weight);
  const [outputs = 0, columns] = shape;
  if (shape.length !== 2 || outputs === 0 || columns !== inputs)
    throw new Error(`${weight} is of shape [${shape.join(', ')}]; it must be [outputs, ${inputs}]`);
  const given = tensors.names.includes(bias);
  if (given && tensors.shape(bias).join() !== String(outputs))
    throw new Error(
      `${bias} is of shape [${tensors.shape(bias).join(', ')}]; it must be [${outputs}]`,
    );
  return {
    inputs,
    weight: tensors.read(weight),
    bias: given ? tensors.read(bias) : new Float32Array(outputs),
  };
}
