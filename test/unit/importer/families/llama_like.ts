/** The block of Llama, Mistral and Qwen in float64, and the tensors of its published layout. */

import { add, attend, headsOf, rmsNorm, rotate, silu, times } from './arithmetic.ts';
import type { Shapes, Tensors, Vector } from './published.ts';

export interface Sizes {
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
}

export const SIZES: Sizes = {
  vocab: 320,
  hidden: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffn: 96,
};

/** The keys of config.json that say the sizes. */
export const sizeKeys = (s: Sizes) => ({
  vocab_size: s.vocab,
  hidden_size: s.hidden,
  num_hidden_layers: s.layers,
  num_attention_heads: s.heads,
  num_key_value_heads: s.kvHeads,
  intermediate_size: s.ffn,
  max_position_embeddings: 64,
});

export interface Layout {
  readonly tied?: boolean;
  readonly qkvBias?: boolean;
  readonly outBias?: boolean;
  readonly ffnBias?: boolean;
  readonly headNorm?: boolean;
}

export function llamaShapes(s: Sizes, { tied = false, ...has }: Layout = {}): Shapes {
  const linear = (name: string, n: number, k: number, bias = false): Shapes => ({
    [`${name}.weight`]: [n, k],
    ...(bias ? { [`${name}.bias`]: [n] } : {}),
  });
  const layer = (name: string): Shapes => ({
    [`${name}.input_layernorm.weight`]: [s.hidden],
    ...linear(`${name}.self_attn.q_proj`, s.heads * s.headDim, s.hidden, has.qkvBias),
    ...linear(`${name}.self_attn.k_proj`, s.kvHeads * s.headDim, s.hidden, has.qkvBias),
    ...linear(`${name}.self_attn.v_proj`, s.kvHeads * s.headDim, s.hidden, has.qkvBias),
    ...linear(`${name}.self_attn.o_proj`, s.hidden, s.heads * s.headDim, has.outBias),
    ...(has.headNorm === true
      ? {
          [`${name}.self_attn.q_norm.weight`]: [s.headDim],
          [`${name}.self_attn.k_norm.weight`]: [s.headDim],
        }
      : {}),
    [`${name}.post_attention_layernorm.weight`]: [s.hidden],
    ...linear(`${name}.mlp.gate_proj`, s.ffn, s.hidden, has.ffnBias),
    ...linear(`${name}.mlp.up_proj`, s.ffn, s.hidden, has.ffnBias),
    ...linear(`${name}.mlp.down_proj`, s.hidden, s.ffn, has.ffnBias),
  });
  return {
    'model.embed_tokens.weight': [s.vocab, s.hidden],
    ...Object.assign({}, ...Array.from({ length: s.layers }, (_, i) => layer(`model.layers.${i}`))),
    'model.norm.weight': [s.hidden],
    ...(tied ? {} : { 'lm_head.weight': [s.vocab, s.hidden] }),
  };
}

export interface Definition extends Layout {
  readonly epsilon: number;
  readonly frequencies: Vector;
  readonly magnitude?: number;
  readonly window?: (layer: number) => number;
  readonly rotates?: (layer: number) => boolean;
  /** What becomes of the states that leave a layer, counted from 1; left out: nothing. */
  readonly leaving?: (layer: number, state: Vector) => Vector;
}

/** Normalised states after each token. */
export const llamaStates = (
  t: Tensors,
  s: Sizes,
  d: Definition,
  tokens: readonly number[],
): Vector[] => llamaLayers(t, s, d, tokens).at(-1)!;

/** States after each token: what enters the first layer, what leaves each, the last one normalised; [layers + 1][tokens]. */
export function llamaLayers(
  t: Tensors,
  s: Sizes,
  d: Definition,
  tokens: readonly number[],
): Vector[][] {
  const linear = (name: string, bias: boolean | undefined, x: Vector): Vector => {
    const product = times(t.matrix(`${name}.weight`), x);
    return bias === true ? add(product, t.vector(`${name}.bias`)) : product;
  };
  const norm = (name: string, x: Vector): Vector =>
    rmsNorm(x, t.vector(`${name}.weight`), d.epsilon);
  let xs = tokens.map((token) => t.matrix('model.embed_tokens.weight')[token]!);
  const entering: Vector[][] = [];
  for (let l = 0; l < s.layers; l++) {
    entering.push(xs);
    const [layer, attention] = [`model.layers.${l}`, `model.layers.${l}.self_attn`];
    const inputs = xs.map((x) => norm(`${layer}.input_layernorm`, x));
    const heads = (part: 'q' | 'k' | 'v', count: number): Vector[][] =>
      inputs.map((x, position) =>
        headsOf(linear(`${attention}.${part}_proj`, d.qkvBias, x), count).map((head) => {
          if (part === 'v') return head;
          const ready = d.headNorm === true ? norm(`${attention}.${part}_norm`, head) : head;
          return d.rotates?.(l) === false
            ? ready
            : rotate(ready, position, d.frequencies, d.magnitude);
        }),
      );
    const attended = attend(heads('q', s.heads), heads('k', s.kvHeads), heads('v', s.kvHeads), {
      scale: 1 / Math.sqrt(s.headDim),
      window: d.window?.(l) ?? Infinity,
    });
    xs = xs.map((x, i) => add(x, linear(`${attention}.o_proj`, d.outBias, attended[i]!)));
    xs = xs.map((x) => {
      const y = norm(`${layer}.post_attention_layernorm`, x);
      const up = linear(`${layer}.mlp.up_proj`, d.ffnBias, y);
      const inner = linear(`${layer}.mlp.gate_proj`, d.ffnBias, y).map((g, i) => silu(g) * up[i]!);
      const left = add(x, linear(`${layer}.mlp.down_proj`, d.ffnBias, inner));
      return d.leaving?.(l + 1, left) ?? left;
    });
  }
  return [...entering, xs.map((x) => norm('model.norm', x))];
}

/** Logits after each token. */
export const llamaLogits =
  (t: Tensors, s: Sizes, d: Definition) =>
  (tokens: readonly number[]): Vector[] => {
    const head = t.matrix(d.tied === true ? 'model.embed_tokens.weight' : 'lm_head.weight');
    return llamaStates(t, s, d, tokens).map((x) => times(head, x));
  };
