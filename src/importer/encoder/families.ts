/** The encoders that can be imported, by `model_type` of their config.json. */

import { Fields } from '../fields.ts';
import { bert, roberta } from './bert.ts';
import type { EncoderFamily } from './common.ts';
import { debertaV2 } from './deberta.ts';
import { headOf } from './labels.ts';
import { modernBert } from './modernbert.ts';
import type { EncoderSpec } from './spec.ts';

interface Entry {
  readonly describe: EncoderFamily;
  /** What `architectures` of a config says. */
  readonly architecture: string;
}

const FAMILIES: Readonly<Record<string, Entry>> = {
  bert: { describe: bert, architecture: 'BertForSequenceClassification' },
  roberta: { describe: roberta('RoBERTa'), architecture: 'RobertaForSequenceClassification' },
  'xlm-roberta': {
    describe: roberta('XLM-RoBERTa'),
    architecture: 'XLMRobertaForSequenceClassification',
  },
  'deberta-v2': { describe: debertaV2, architecture: 'DebertaV2ForSequenceClassification' },
  modernbert: { describe: modernBert, architecture: 'ModernBertForSequenceClassification' },
};

export const isEncoder = (modelType: unknown): boolean =>
  typeof modelType === 'string' && Object.hasOwn(FAMILIES, modelType);

/** What the import asks for beside the config. */
interface EncoderWish {
  /** Longest sequence; null: the config's. */
  readonly context: number | null;
  /** Name or index of the label that is the score; null: the only one. */
  readonly label: string | null;
}

/** Reads a config.json. Throws an Error that names the field, what it holds and what would do. */
export function describeEncoder(config: unknown, { context, label }: EncoderWish): EncoderSpec {
  const f = new Fields(config, 'config.json');
  const type = f.oneOf('model_type', Object.keys(FAMILIES));
  const { describe, architecture } = FAMILIES[type]!;
  const names = f.get('architectures');
  if (!Array.isArray(names) || names.length !== 1 || names[0] !== architecture)
    f.refuse('architectures', `["${architecture}"]`);
  f.only('is_decoder', false);
  f.only('add_cross_attention', false);
  f.only('is_encoder_decoder', false);
  const spec = describe(f, { context, head: headOf(f, label) });
  f.done();
  return spec;
}
