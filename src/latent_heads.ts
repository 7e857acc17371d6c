/** Heads that read a user's latent (VPL): files of their models' folders, held to the states that the graph gives. */

import { join } from 'node:path';
import { fileIn } from './importer/checkpoint.ts';
import { openSafetensors } from './importer/safetensors.ts';
import type { TensorSource } from './importer/safetensors.ts';
import { ConfigError, reason } from './ops/config.ts';
import type { ModelEntry } from './ops/config.ts';
import type { Manifest } from './ops/manifest.ts';
import type { LatentHead, Linear } from './rewards/latent_head.ts';
import { outlineOf } from './runtime/onnx/outline.ts';

/** 64 million values. */
const MAX_BYTES = 256 * 2 ** 20;
const STATES = 'hidden_states';
const LAYER = /^decoder\._model\.(\d{1,4})\.weight$/;

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
    const width = outlineOf(join(folder, 'model.onnx')).outputs.get(STATES)?.dims.at(-1);
    if (typeof width !== 'number')
      throw new Error(
        'the graph has no output hidden_states; import its checkpoint with --hidden-states',
      );
    using tensors = openSafetensors(fileIn(folder, file, MAX_BYTES));
    return headOf(tensors, width);
  } catch (error) {
    throw new ConfigError(`models.${name}.latent_head is ${file}: ${reason(error)}`);
  }
}

function headOf(tensors: TensorSource, hidden: number): ReadHead {
  const embedding = tensors.names.includes('score.weight')
    ? linearOf(tensors, 'score', hidden)
    : null;
  const names = tensors.names
    .flatMap((tensor) => LAYER.exec(tensor)?.[1] ?? [])
    .toSorted((a, b) => Number(a) - Number(b))
    .map((n) => `decoder._model.${n}`);
  if (names.length === 0) throw new Error('there is no tensor decoder._model.0.weight');
  const embedded = embedding?.bias.length ?? hidden;
  const latent = (tensors.shape(`${names[0]!}.weight`)[1] ?? 0) - embedded;
  if (latent < 1)
    throw new Error(
      `${names[0]!}.weight reads ${latent + embedded} numbers; an answer alone has ${embedded}`,
    );
  let inputs = embedded + latent;
  const layers = names.map((layer) => {
    const linear = linearOf(tensors, layer, inputs);
    inputs = linear.bias.length;
    return linear;
  });
  if (inputs !== 1)
    throw new Error(`${names.at(-1)!}.weight gives ${inputs} numbers; a reward is one`);
  return { embedding, layers, latent, hidden };
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
