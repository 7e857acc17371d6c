/**
 * A Llama checkpoint of any shape with random weights, for tests and benchmarks: Hugging Face layout, from a seed.
 * Its tokenizer spells bytes: id 0 ends a text, ids 1 to 256 are the bytes, the rest are fillers of the vocabulary.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mulberry } from './mulberry.ts';

export interface RandomLlama {
  readonly seed: number;
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly ffn: number;
  readonly context: number;
  /** Default: the vocabulary projection shares the embedding's weights. */
  readonly tied?: boolean;
  /** Makes a reward model: a scalar head in place of the vocabulary projection. */
  readonly score?: boolean;
}

/** 2 layers of 64: runs in a millisecond. */
export const TINY: RandomLlama = {
  seed: 1,
  vocab: 320,
  hidden: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  ffn: 96,
  context: 128,
};

/** The decoder of ENGINE.md's tables, 15 M parameters. */
export const BENCH: RandomLlama = {
  seed: 1,
  vocab: 8192,
  hidden: 384,
  layers: 8,
  heads: 6,
  kvHeads: 2,
  ffn: 1024,
  context: 4096,
};

/** Writes config.json, model.safetensors (float32), tokenizer.json, tokenizer_config.json and facts.json into `folder`. */
export function writeRandomLlama(folder: string, shape: RandomLlama): void {
  mkdirSync(folder, { recursive: true });
  const json = (name: string, value: unknown) =>
    writeFileSync(join(folder, name), JSON.stringify(value, null, 1));
  json('config.json', configOf(shape));
  writeFileSync(join(folder, 'model.safetensors'), safetensors(tensorsOf(shape)));
  json('tokenizer.json', byteTokenizer(shape.vocab));
  json('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: '<|end|>',
    model_max_length: shape.context,
    chat_template:
      "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}assistant: ",
  });
  json('facts.json', {});
}

function configOf({
  vocab,
  hidden,
  layers,
  heads,
  kvHeads,
  ffn,
  context,
  tied,
  score,
}: RandomLlama) {
  return {
    architectures: [score === true ? 'LlamaForSequenceClassification' : 'LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: vocab,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: hidden / heads,
    intermediate_size: ffn,
    max_position_embeddings: context,
    rope_theta: 10000,
    rms_norm_eps: 1e-5,
    hidden_act: 'silu',
    tie_word_embeddings: tied ?? true,
    eos_token_id: 0,
  };
}

interface RandomTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

function tensorsOf(shape: RandomLlama): RandomTensor[] {
  const { vocab, hidden, heads, kvHeads, ffn } = shape;
  const draw = normals(shape.seed);
  const weight = (name: string, n: number, k: number, deviation = k ** -0.5): RandomTensor => ({
    name: `${name}.weight`,
    shape: [n, k],
    data: Float32Array.from({ length: n * k }, () => draw() * deviation),
  });
  const norm = (name: string): RandomTensor => ({
    name: `${name}.weight`,
    shape: [hidden],
    data: Float32Array.from({ length: hidden }, () => 1 + 0.1 * draw()),
  });
  const kvSize = (hidden / heads) * kvHeads;
  const layer = (name: string): RandomTensor[] => [
    norm(`${name}.input_layernorm`),
    weight(`${name}.self_attn.q_proj`, hidden, hidden),
    weight(`${name}.self_attn.k_proj`, kvSize, hidden),
    weight(`${name}.self_attn.v_proj`, kvSize, hidden),
    weight(`${name}.self_attn.o_proj`, hidden, hidden),
    norm(`${name}.post_attention_layernorm`),
    weight(`${name}.mlp.gate_proj`, ffn, hidden),
    weight(`${name}.mlp.up_proj`, ffn, hidden),
    weight(`${name}.mlp.down_proj`, hidden, ffn),
  ];
  return [
    weight('model.embed_tokens', vocab, hidden, 0.2),
    ...Array.from({ length: shape.layers }, (_, i) => layer(`model.layers.${i}`)).flat(),
    norm('model.norm'),
    ...(shape.score === true
      ? [weight('score', 1, hidden)]
      : shape.tied === false
        ? [weight('lm_head', vocab, hidden)]
        : []),
  ];
}

/** Standard normal draws (Box and Muller). */
function normals(seed: number): () => number {
  const draw = mulberry(seed);
  const uniform = (): number => draw() + 2 ** -33; // never 0
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

export function safetensors(tensors: readonly RandomTensor[]): Buffer {
  let end = 0;
  const header = Object.fromEntries(
    tensors.map(({ name, shape, data }) => {
      const begin = end;
      end += data.byteLength;
      return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...tensors.map(({ data }) => Buffer.from(data.buffer))]);
}

/** A byte-level BPE without merges. */
function byteTokenizer(vocab: number) {
  const names = ['<|end|>', ...byteCharacters()];
  const fillers = Array.from({ length: vocab - names.length }, (_, i) => `<|unused${i}|>`);
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [
      special('<|end|>', 0),
      ...fillers.map((name, i) => special(name, names.length + i)),
    ],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...names, ...fillers].map((name, id) => [name, id])),
      merges: [],
    },
  };
}

/** GPT-2's printable stand-in for each byte: itself where printable, else the next free code point from 256 on. */
function byteCharacters(): string[] {
  let free = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCodePoint(printable ? byte : free++);
  });
}

const special = (content: string, id: number) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
