/** A random Llama of TINY's sizes in float64, from the published definition. */

import type { TensorSource } from '../../../src/importer/safetensors.ts';
import { dot, frequencies, times } from './families/arithmetic.ts';
import { llamaLayers, llamaStates, SIZES } from './families/llama_like.ts';
import { Tensors, type Vector } from './families/published.ts';

type Leaving = (layer: number, state: Vector) => Vector;

export class Reference {
  readonly #tensors: Tensors;

  constructor(source: TensorSource) {
    this.#tensors = new Tensors(
      Object.fromEntries(source.names.map((name) => [name, source.shape(name)])),
      new Map(source.names.map((name) => [name, source.read(name)])),
    );
  }

  /** Logits after each token, [tokens][vocab]. @param leaving what becomes of the states that leave a layer */
  logits(tokens: readonly number[], leaving: Leaving = (_, state) => state): Vector[] {
    const head = this.#tensors.matrix('model.embed_tokens.weight');
    return this.#states(tokens, leaving).map((x) => times(head, x));
  }

  /** The scalar head after the last token. */
  score(tokens: readonly number[]): number {
    return dot(this.#tensors.matrix('score.weight')[0]!, this.#states(tokens).at(-1)!);
  }

  /** States of each layer after each token, [layers + 1][tokens]. */
  layers(tokens: readonly number[]): Vector[][] {
    return llamaLayers(this.#tensors, SIZES, DEFINITION, tokens);
  }

  #states(tokens: readonly number[], leaving: Leaving = (_, state) => state): Vector[] {
    return llamaStates(this.#tensors, SIZES, { ...DEFINITION, leaving }, tokens);
  }
}

const DEFINITION = { epsilon: 1e-5, frequencies: frequencies(10000, 16) };
