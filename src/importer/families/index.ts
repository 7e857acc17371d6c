/** The families that can be imported, by `model_type` of their config.json. */

import { Fields } from '../fields.ts';
import type { Spec } from '../spec.ts';
import type { Family, Wish } from './common.ts';
import { llama, mistral } from './llama.ts';
import { qwen2, qwen3 } from './qwen.ts';

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
};

/**
 * Reads a config.json. A classification head is always used; a value head (TRL's `v_head`) where it is asked for.
 * Throws an Error that names the field, what it holds and what would do.
 */
export function describe(
  config: unknown,
  wish: { context: number | null; valueHead: boolean },
): Spec {
  const fields = new Fields(config, 'config.json');
  const type = fields.oneOf('model_type', Object.keys(FAMILIES));
  const { describe: family, language, score } = FAMILIES[type]!;
  const names = fields.get('architectures');
  const architecture: unknown = Array.isArray(names) && names.length === 1 ? names[0] : null;
  if (architecture !== language && architecture !== score)
    fields.refuse('architectures', `["${language}"] or ["${score}"]`);
  const spec = family(fields, {
    context: wish.context,
    scalar: scalarHead(fields, architecture === score, wish),
  });
  fields.done();
  return spec;
}

function scalarHead(
  fields: Fields,
  classifies: boolean,
  { valueHead }: { valueHead: boolean },
): Wish['scalar'] {
  if (valueHead) return { kind: 'scalar', name: 'v_head.summary', bias: true };
  fields.only('num_labels', 1);
  return classifies ? { kind: 'scalar', name: 'score', bias: false } : null;
}
