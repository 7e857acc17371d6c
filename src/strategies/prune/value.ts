/**
 * Pruning by value (Lee et al. 2024, token-supervised value models): an answer whose value falls below tau is given up,
 * every so many tokens from a least length on. Made for a value model, whose score of a part is the chance that the whole
 * is right.
 */

import { either, integer, number, read, strict } from '../../core/fields.ts';
import { numberOr, ranked } from '../select.ts';
import { everyFrom, type PruneRule } from './rule.ts';

interface Value {
  readonly tau: number;
  readonly least: number;
  readonly every: number;
}

const fields = strict({
  threshold: number(-1e6, 1e6),
  min_tokens: either(integer(1, 1_000_000), 16),
  every: either(integer(1, 1_000_000), 16),
});

export const value: PruneRule<Value> = {
  fields,
  parse(raw) {
    const { threshold: tau, min_tokens: least, every } = read(fields, raw);
    return { tau, least, every };
  },
  needs: 'prefix',
  together: false,
  absolute: true,
  points: ({ least, every }, maxTokens) => everyFrom(least, every, maxTokens),
  decide:
    ({ tau }) =>
    async ({ growing, score }) => {
      const scores = await score(growing);
      const keep = scores.filter((one) => numberOr(one.value, -Infinity) >= tau).length;
      return { ranked: ranked(growing, scores), keep };
    },
};
