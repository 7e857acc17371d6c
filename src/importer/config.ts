/** A Hugging Face Llama config.json, checked: what would change the computation and is not built is refused by name. */

export interface LlamaConfig {
  readonly kind: 'language' | 'score';
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  /** Longest sequence, in tokens. */
  readonly context: number;
  readonly ropeTheta: number;
  readonly epsilon: number;
  /** The vocabulary projection uses the embedding's weights. */
  readonly tied: boolean;
}

const KINDS: Readonly<Record<string, LlamaConfig['kind']>> = {
  LlamaForCausalLM: 'language',
  LlamaForSequenceClassification: 'score',
};

/** Fields that must have one of these values, where they are given at all. */
const FIXED: Readonly<Record<string, readonly unknown[]>> = {
  model_type: ['llama'],
  hidden_act: ['silu'],
  attention_bias: [false],
  mlp_bias: [false],
  pretraining_tp: [1],
  rope_scaling: [null],
  num_labels: [1],
};

/** Fields that say nothing about the forward pass, or are read below. */
const KNOWN = new Set([
  'architectures',
  'vocab_size',
  'hidden_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'head_dim',
  'intermediate_size',
  'max_position_embeddings',
  'rope_theta',
  'rope_parameters',
  'rms_norm_eps',
  'tie_word_embeddings',
  'id2label',
  'label2id',
  'problem_type',
  'bos_token_id',
  'eos_token_id',
  'pad_token_id',
  'torch_dtype',
  'dtype',
  'transformers_version',
  'use_cache',
  'initializer_range',
  'attention_dropout',
  'output_attentions',
  'output_hidden_states',
  '_name_or_path',
  'return_dict',
  'is_decoder',
  '_attn_implementation_autoset',
  'transformers.js_config',
]);

/** Checks a parsed config.json. Throws an Error that names the field, what it holds and what would do. */
export function parseLlamaConfig(raw: unknown): LlamaConfig {
  if (typeof raw !== 'object' || raw === null) throw new Error('config.json holds no JSON object');
  const fields: Readonly<Record<string, unknown>> = { ...raw };
  const kind = KINDS[String((fields['architectures'] as readonly unknown[] | undefined)?.[0])];
  if (kind === undefined)
    refuse('architectures', fields, `one of ${Object.keys(KINDS).join(', ')}`);
  for (const name of Object.keys(fields)) {
    const allowed = FIXED[name];
    if (allowed ? !allowed.includes(fields[name]) : !KNOWN.has(name))
      refuse(name, fields, allowed ? JSON.stringify(allowed[0]) : 'leaving it out');
  }
  const heads = count(fields, 'num_attention_heads');
  const kvHeads = count(fields, 'num_key_value_heads', heads);
  const hidden = count(fields, 'hidden_size');
  const headDim = count(fields, 'head_dim', hidden / heads);
  if (heads % kvHeads !== 0) refuse('num_key_value_heads', fields, `a divisor of ${heads}`);
  if (headDim % 16 !== 0) refuse('head_dim', { head_dim: headDim }, 'a multiple of 16');
  return {
    kind,
    hidden,
    heads,
    kvHeads,
    headDim,
    vocab: count(fields, 'vocab_size'),
    layers: count(fields, 'num_hidden_layers'),
    ffn: count(fields, 'intermediate_size'),
    context: count(fields, 'max_position_embeddings'),
    ropeTheta: theta(fields),
    epsilon: positive(fields, 'rms_norm_eps', 1e-6),
    tied: fields['tie_word_embeddings'] === true,
  };
}

function refuse(name: string, fields: Readonly<Record<string, unknown>>, wanted: string): never {
  throw new Error(
    `config.json: ${name} is ${JSON.stringify(fields[name])}; the importer supports ${wanted}`,
  );
}

function positive(
  fields: Readonly<Record<string, unknown>>,
  name: string,
  missing?: number,
): number {
  const value = fields[name] ?? missing;
  if (typeof value !== 'number' || !(value > 0)) refuse(name, fields, 'a positive number');
  return value;
}

function count(fields: Readonly<Record<string, unknown>>, name: string, missing?: number): number {
  const value = positive(fields, name, missing);
  if (!Number.isSafeInteger(value)) refuse(name, { [name]: value }, 'a whole number');
  return value;
}

/** Transformers 5 keeps the base of the rotary positions in `rope_parameters`, older versions in `rope_theta`. */
function theta(fields: Readonly<Record<string, unknown>>): number {
  const nested = fields['rope_parameters'];
  if (nested === undefined || nested === null) return positive(fields, 'rope_theta', 10000);
  const { rope_type = 'default', rope_theta, ...rest } = nested as Record<string, unknown>;
  if (rope_type !== 'default' || Object.keys(rest).length > 0)
    refuse('rope_parameters', fields, '{"rope_type": "default", "rope_theta": ...}');
  return positive({ rope_theta }, 'rope_theta', 10000);
}
