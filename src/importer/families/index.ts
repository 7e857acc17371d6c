/** The families that can be imported, by `model_type` of their config.json. */

import { Fields } from '../fields.ts';
import type { Spec } from '../spec.ts';
import type { Family, Wish } from './common.ts';
import { gemma2, gemma3 } from './gemma.ts';
import { gpt2 } from './gpt2.ts';
import { llama, mistral } from './llama.ts';
import { gptNeox } from './neox.ts';
import { olmo2 } from './olmo2.ts';
import { phi3 } from './phi3.ts';
import { qwen2, qwen3 } from './qwen.ts';
import { smollm3 } from './smollm3.ts';

interface Entry {
  readonly describe: Family;
  /** `architectures` of a config with a vocabulary projection, and of one with a classification head. */
  readonly language: string;
  readonly score: string;
}

const entry = (describe: Family, language: string, score: string): Entry => ({
  describe,
  language,
  score,
});

const FAMILIES: Readonly<Record<string, Entry>> = {
  llama: entry(llama, 'LlamaForCausalLM', 'LlamaForSequenceClassification'),
  mistral: entry(mistral, 'MistralForCausalLM', 'MistralForSequenceClassification'),
  qwen2: entry(qwen2, 'Qwen2ForCausalLM', 'Qwen2ForSequenceClassification'),
  qwen3: entry(qwen3, 'Qwen3ForCausalLM', 'Qwen3ForSequenceClassification'),
  smollm3: entry(smollm3, 'SmolLM3ForCausalLM', 'SmolLM3ForSequenceClassification'),
  gemma2: entry(gemma2, 'Gemma2ForCausalLM', 'Gemma2ForSequenceClassification'),
  gemma3_text: entry(gemma3, 'Gemma3ForCausalLM', 'Gemma3TextForSequenceClassification'),
  phi3: entry(phi3, 'Phi3ForCausalLM', 'Phi3ForSequenceClassification'),
  olmo2: entry(olmo2, 'Olmo2ForCausalLM', 'Olmo2ForSequenceClassification'),
  gpt2: entry(gpt2, 'GPT2LMHeadModel', 'GPT2ForSequenceClassification'),
  gpt_neox: entry(gptNeox, 'GPTNeoXForCausalLM', 'GPTNeoXForSequenceClassification'),
};

/** Our own architecture: the probability that an answer ends well, from what its policy said of each token. */
const VERIFIER = 'PolicyVerifier';

/** A head that the weights have and the config does not tell of: TRL's value head, an adapter's classifier. */
export type ExtraHead = 'v_head.summary' | 'score';

/**
 * Reads a config.json. A classification head is used where there is one.
 * @param context longest sequence; null: the config's
 * @throws Error that names the field, what it holds and what would do
 */
export function describe(config: unknown, context: number | null, extra: ExtraHead | null): Spec {
  const fields = new Fields(config, 'config.json');
  const type = fields.oneOf('model_type', Object.keys(FAMILIES));
  const { describe: family, language, score } = FAMILIES[type]!;
  const names = fields.get('architectures');
  const architecture: unknown = Array.isArray(names) && names.length === 1 ? names[0] : null;
  if (architecture !== language && architecture !== score && architecture !== VERIFIER)
    fields.refuse('architectures', `["${language}"], ["${score}"] or ["${VERIFIER}"]`);
  fields.only('num_labels', 1);
  const scalar =
    architecture === VERIFIER
      ? verifierHead(fields)
      : scalarHead(fields, extra ?? (architecture === score ? 'score' : null));
  const spec = family(fields, { context, scalar });
  fields.done();
  return spec;
}

function scalarHead(fields: Fields, name: ExtraHead | null): Wish['scalar'] {
  // Transformers reads such labels through a sigmoid, each for itself.
  const probability = fields.get('problem_type') === 'multi_label_classification';
  const bias = name === 'v_head.summary';
  return name === null ? null : { kind: 'scalar', name, bias, probability, evidence: null };
}

/** A language model of a family with the tensors `evidence.*` beside its own; `evidence_head` has their sizes. */
function verifierHead(fields: Fields): Wish['scalar'] {
  const sizes = fields.object('evidence_head') ?? fields.refuse('evidence_head', 'an object');
  if (fields.get('tie_word_embeddings') !== true) fields.refuse('tie_word_embeddings', 'true');
  const evidence = {
    name: 'evidence',
    width: sizes.count('width'),
    inner: sizes.count('inner'),
    opens: sizes.count('opens'),
  };
  sizes.done();
  return { kind: 'scalar', name: 'evidence.score', bias: true, probability: true, evidence };
}
