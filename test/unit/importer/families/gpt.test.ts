/** GPT-2 and GPT-NeoX (Pythia), in float64 from their published definitions. */

import {
  add,
  attend,
  frequencies,
  gelu,
  geluTanh,
  headsOf,
  layerNorm,
  rotate,
  times,
} from './arithmetic.ts';
import { provesFamily } from './proof.ts';
import { publish, type Shapes, type Tensors, type Vector } from './published.ts';

const [VOCAB, HIDDEN, LAYERS, HEADS, CONTEXT] = [320, 64, 2, 4, 64] as const;
const DIM = HIDDEN / HEADS;

const norms = (name: string): Shapes => ({
  [`${name}.weight`]: [HIDDEN],
  [`${name}.bias`]: [HIDDEN],
});
const perLayer = (layer: (i: number) => Shapes): Shapes =>
  Object.assign({}, ...Array.from({ length: LAYERS }, (_, i) => layer(i))) as Shapes;

/** Conv1D stores [inputs, outputs]; the published file also holds the causal mask of each layer. */
function gpt2Shapes(prefix: string): Shapes {
  const conv = (name: string, inputs: number, outputs: number): Shapes => ({
    [`${name}.weight`]: [inputs, outputs],
    [`${name}.bias`]: [outputs],
  });
  return {
    [`${prefix}wte.weight`]: [VOCAB, HIDDEN],
    [`${prefix}wpe.weight`]: [CONTEXT, HIDDEN],
    ...perLayer((i) => ({
      ...norms(`${prefix}h.${i}.ln_1`),
      [`${prefix}h.${i}.attn.bias`]: [1, 1, 4, 4],
      ...conv(`${prefix}h.${i}.attn.c_attn`, HIDDEN, 3 * HIDDEN),
      ...conv(`${prefix}h.${i}.attn.c_proj`, HIDDEN, HIDDEN),
      ...norms(`${prefix}h.${i}.ln_2`),
      ...conv(`${prefix}h.${i}.mlp.c_fc`, HIDDEN, 4 * HIDDEN),
      ...conv(`${prefix}h.${i}.mlp.c_proj`, 4 * HIDDEN, HIDDEN),
    })),
    ...norms(`${prefix}ln_f`),
  };
}

function gpt2Logits(t: Tensors, prefix: string, tokens: readonly number[]): Vector[] {
  const norm = (name: string, x: Vector): Vector =>
    layerNorm(x, t.vector(`${name}.weight`), t.vector(`${name}.bias`), 1e-5);
  const conv = (name: string, x: Vector): Vector => {
    const weight = t.matrix(`${name}.weight`);
    return t
      .vector(`${name}.bias`)
      .map((bias, o) => bias + x.reduce((sum, value, i) => sum + value * weight[i]![o]!, 0));
  };
  const wte = t.matrix(`${prefix}wte.weight`);
  let xs = tokens.map((token, i) => add(wte[token]!, t.matrix(`${prefix}wpe.weight`)[i]!));
  for (let l = 0; l < LAYERS; l++) {
    const h = `${prefix}h.${l}`;
    const qkv = xs.map((x) => conv(`${h}.attn.c_attn`, norm(`${h}.ln_1`, x)));
    const part = (n: number): Vector[][] =>
      qkv.map((x) => headsOf(x.slice(n * HIDDEN, (n + 1) * HIDDEN), HEADS));
    const attended = attend(part(0), part(1), part(2), { scale: DIM ** -0.5 });
    xs = xs.map((x, i) => add(x, conv(`${h}.attn.c_proj`, attended[i]!)));
    xs = xs.map((x) => {
      const inner = conv(`${h}.mlp.c_fc`, norm(`${h}.ln_2`, x)).map(geluTanh);
      return add(x, conv(`${h}.mlp.c_proj`, inner));
    });
  }
  return xs.map((x) => times(wte, norm(`${prefix}ln_f`, x)));
}

const gpt2 = {
  activation_function: 'gelu_new',
  architectures: ['GPT2LMHeadModel'],
  attn_pdrop: 0.1,
  bos_token_id: 0,
  embd_pdrop: 0.1,
  eos_token_id: 0,
  initializer_range: 0.02,
  layer_norm_epsilon: 1e-5,
  model_type: 'gpt2',
  n_ctx: CONTEXT,
  n_embd: HIDDEN,
  n_head: HEADS,
  n_layer: LAYERS,
  n_positions: CONTEXT,
  resid_pdrop: 0.1,
  summary_activation: null,
  summary_first_dropout: 0.1,
  summary_proj_to_labels: true,
  summary_type: 'cls_index',
  summary_use_proj: true,
  task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
  vocab_size: VOCAB,
};
/** The first GPT-2 on the hub leaves the prefix out, later ones have it. */
for (const prefix of ['', 'transformer.']) {
  const published = publish(gpt2, gpt2Shapes(prefix));
  provesFamily(`GPT-2 (${prefix || 'no prefix'})`, published, (tokens) =>
    gpt2Logits(published.tensors, prefix, tokens),
  );
}

const linear = (name: string, n: number, k: number): Shapes => ({
  [`${name}.weight`]: [n, k],
  [`${name}.bias`]: [n],
});
const neoxShapes: Shapes = {
  'gpt_neox.embed_in.weight': [VOCAB, HIDDEN],
  ...perLayer((i) => ({
    ...norms(`gpt_neox.layers.${i}.input_layernorm`),
    ...norms(`gpt_neox.layers.${i}.post_attention_layernorm`),
    [`gpt_neox.layers.${i}.attention.bias`]: [1, 1, 4, 4],
    [`gpt_neox.layers.${i}.attention.masked_bias`]: [],
    [`gpt_neox.layers.${i}.attention.rotary_emb.inv_freq`]: [8],
    ...linear(`gpt_neox.layers.${i}.attention.query_key_value`, 3 * HIDDEN, HIDDEN),
    ...linear(`gpt_neox.layers.${i}.attention.dense`, HIDDEN, HIDDEN),
    ...linear(`gpt_neox.layers.${i}.mlp.dense_h_to_4h`, 96, HIDDEN),
    ...linear(`gpt_neox.layers.${i}.mlp.dense_4h_to_h`, HIDDEN, 96),
  })),
  ...norms('gpt_neox.final_layer_norm'),
  'embed_out.weight': [VOCAB, HIDDEN],
};

/** Two heads of 32 dims, of which a share of `turned` dims has rotary positions. */
function neoxLogits(
  t: Tensors,
  parallel: boolean,
  turned: number,
  tokens: readonly number[],
): Vector[] {
  const [heads, dim] = [2, 32];
  const norm = (name: string, x: Vector): Vector =>
    layerNorm(x, t.vector(`${name}.weight`), t.vector(`${name}.bias`), 1e-5);
  const dense = (name: string, x: Vector): Vector =>
    add(times(t.matrix(`${name}.weight`), x), t.vector(`${name}.bias`));
  let xs = tokens.map((token) => t.matrix('gpt_neox.embed_in.weight')[token]!);
  for (let l = 0; l < LAYERS; l++) {
    const layer = `gpt_neox.layers.${l}`;
    // Each head's rows follow each other: its query, its key, its value.
    const qkv = xs.map((x) =>
      headsOf(
        dense(`${layer}.attention.query_key_value`, norm(`${layer}.input_layernorm`, x)),
        heads,
      ),
    );
    const part = (n: number): Vector[][] =>
      qkv.map((all, position) =>
        all.map((head) => {
          const mine = head.slice(n * dim, (n + 1) * dim);
          return n === 2 ? mine : rotate(mine, position, frequencies(10000, turned));
        }),
      );
    const attended = attend(part(0), part(1), part(2), { scale: dim ** -0.5 });
    xs = xs.map((x, i) => {
      const a = dense(`${layer}.attention.dense`, attended[i]!);
      const y = norm(`${layer}.post_attention_layernorm`, parallel ? x : add(x, a));
      const f = dense(
        `${layer}.mlp.dense_4h_to_h`,
        dense(`${layer}.mlp.dense_h_to_4h`, y).map(gelu),
      );
      return add(add(x, a), f);
    });
  }
  return xs.map((x) => times(t.matrix('embed_out.weight'), norm('gpt_neox.final_layer_norm', x)));
}

const neox = {
  architectures: ['GPTNeoXForCausalLM'],
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: 'gelu',
  hidden_size: HIDDEN,
  initializer_range: 0.02,
  intermediate_size: 96,
  layer_norm_eps: 1e-5,
  max_position_embeddings: CONTEXT,
  model_type: 'gpt_neox',
  num_attention_heads: 2,
  num_hidden_layers: LAYERS,
  rotary_emb_base: 10000,
  rotary_pct: 0.5,
  tie_word_embeddings: false,
  torch_dtype: 'float16',
  use_cache: true,
  use_parallel_residual: true,
  vocab_size: VOCAB,
};
const pythia = publish(neox, neoxShapes);
provesFamily('Pythia', pythia, (tokens) => neoxLogits(pythia.tensors, true, 16, tokens));

const sequential = publish({ ...neox, rotary_pct: 1, use_parallel_residual: false }, neoxShapes, 2);
provesFamily('GPT-NeoX, one after the other', sequential, (tokens) =>
  neoxLogits(sequential.tensors, false, 32, tokens),
);
