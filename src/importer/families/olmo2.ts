/** OLMo 2: norms after attention and feed-forward, none before; queries and keys normalised over all heads together. */

import { llamaLike, shapeOf, type Family } from './common.ts';

export const olmo2: Family = (f, wish) => {
  f.only('hidden_act', 'silu');
  const bias = f.flag('attention_bias', false);
  return llamaLike(f, wish, shapeOf(f, wish), {
    family: 'OLMo 2',
    attention: { queryNorm: 'all' },
    bias: { qkv: bias, out: bias },
    norms: 'after',
  });
};
