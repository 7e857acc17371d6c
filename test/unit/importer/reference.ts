/**
 * A Llama forward pass in float64, written from the published definition and from nothing of ours: RMSNorm
 * (x / sqrt(mean x^2 + eps) * g), rotary positions on the halves of a head, grouped-query causal softmax
 * attention, SwiGLU. Every position is computed anew; no cache, no batch.
 */

import type { LlamaConfig } from '../../../src/importer/config.ts';
import type { TensorSource } from '../../../src/importer/safetensors.ts';

type Vector = number[];

const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const add = (a: Vector, b: Vector): Vector => a.map((x, i) => x + b[i]!);

export class Reference {
  readonly #config: LlamaConfig;
  readonly #source: TensorSource;
  readonly #rows = new Map<string, Vector[]>();

  constructor(config: LlamaConfig, source: TensorSource) {
    this.#config = config;
    this.#source = source;
  }

  /** Logits after each token, [tokens][vocab]. */
  logits(tokens: readonly number[]): Vector[] {
    const head = this.#config.tied ? 'model.embed_tokens' : 'lm_head';
    return this.states(tokens).map((x) => this.#times(head, x));
  }

  /** The scalar head after the last token. */
  score(tokens: readonly number[]): number {
    return this.#times('score', this.states(tokens).at(-1)!)[0]!;
  }

  /** Normalised states after each token. */
  states(tokens: readonly number[]): Vector[] {
    let xs = tokens.map((token) => this.#weight('model.embed_tokens')[token]!);
    for (let l = 0; l < this.#config.layers; l++) {
      const layer = `model.layers.${l}`;
      const attended = this.#attend(
        `${layer}.self_attn`,
        xs.map((x) => this.#norm(`${layer}.input_layernorm`, x)),
      );
      xs = xs.map((x, i) => add(x, attended[i]!));
      xs = xs.map((x) =>
        add(x, this.#feed(`${layer}.mlp`, this.#norm(`${layer}.post_attention_layernorm`, x))),
      );
    }
    return xs.map((x) => this.#norm('model.norm', x));
  }

  #attend(name: string, xs: Vector[]): Vector[] {
    const { heads, kvHeads, headDim } = this.#config;
    const split = (part: string, turn: boolean) =>
      xs.map((x, position) => {
        const all = this.#times(`${name}.${part}_proj`, x);
        const count = all.length / headDim;
        return Array.from({ length: count }, (_, h) => {
          const head = all.slice(h * headDim, (h + 1) * headDim);
          return turn ? this.#rotate(head, position) : head;
        });
      });
    const [q, k, v] = [split('q', true), split('k', true), split('v', false)];
    return xs.map((_, t) => {
      const out = Array.from({ length: heads }, (_, h) => {
        const group = Math.floor(h / (heads / kvHeads));
        const weights = Array.from({ length: t + 1 }, (_, s) =>
          Math.exp(dot(q[t]![h]!, k[s]![group]!) / Math.sqrt(headDim)),
        );
        const total = weights.reduce((a, b) => a + b, 0);
        return Array.from({ length: headDim }, (_, d) =>
          weights.reduce((sum, w, s) => sum + (w / total) * v[s]![group]![d]!, 0),
        );
      }).flat();
      return this.#times(`${name}.o_proj`, out);
    });
  }

  #rotate(x: Vector, position: number): Vector {
    const half = x.length / 2;
    return x.map((value, i) => {
      const angle = position / this.#config.ropeTheta ** ((2 * (i % half)) / x.length);
      const other = i < half ? -x[i + half]! : x[i - half]!;
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  }

  #feed(name: string, x: Vector): Vector {
    const up = this.#times(`${name}.up_proj`, x);
    const gated = this.#times(`${name}.gate_proj`, x).map(
      (g, i) => (g / (1 + Math.exp(-g))) * up[i]!,
    );
    return this.#times(`${name}.down_proj`, gated);
  }

  #norm(name: string, x: Vector): Vector {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + this.#config.epsilon);
    const gain = this.#source.read(`${name}.weight`);
    return x.map((value, i) => value * scale * gain[i]!);
  }

  #times(name: string, x: Vector): Vector {
    return this.#weight(name).map((row) => dot(row, x));
  }

  #weight(name: string): Vector[] {
    const known = this.#rows.get(name);
    if (known) return known;
    const [n = 0, k = 0] = this.#source.shape(`${name}.weight`);
    const values = [...this.#source.read(`${name}.weight`)];
    const rows = Array.from({ length: n }, (_, i) => values.slice(i * k, (i + 1) * k));
    this.#rows.set(name, rows);
    return rows;
  }
}
