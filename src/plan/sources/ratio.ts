/** {"plus": MODEL, "minus": MODEL}: beta * (log plus - log minus) of the answer, over tokens or over steps. */

import { flag, list, number, oneOf, strict, text, wrong } from '../../core/fields.ts';
import type { ModelCard } from '../catalog.ts';
import { ownPrompt } from '../wire.ts';
import { languageModel } from './language_model.ts';
import { readingOf, sourceKind } from './source.ts';

export const ratio = sourceKind(
  ({ weight, stops, stopLength }) => ({
    plus: text(256, 1),
    minus: text(256, 1),
    plus_prompt: ownPrompt,
    minus_prompt: ownPrompt,
    beta: number(-weight, weight).nullish(),
    aggregate: oneOf(['sum', 'mean', 'decay', 'min', 'last', 'prod']).nullish(),
    step: strict({ until: list(text(stopLength, 1), stops, 1) }).nullish(),
    sigmoid: flag.nullish(),
  }),
  (wire, at, catalog) => {
    const plus = languageModel(wire.plus, `${at}.plus`, catalog);
    const minus = languageModel(wire.minus, `${at}.minus`, catalog);
    if (!alike(plus, minus))
      throw wrong(`${at}.minus`, wire.minus, `a model with the vocabulary of ${wire.plus}`);
    const [above, below] = [
      readingOf(plus, wire.plus_prompt, `${at}.plus_prompt`),
      readingOf(minus, wire.minus_prompt, `${at}.minus_prompt`),
    ];
    return {
      source: {
        kind: 'ratio',
        plus: { model: plus.name, reading: above.key },
        minus: { model: minus.name, reading: below.key },
        beta: wire.beta ?? 1,
        aggregate: wire.aggregate ?? (wire.step ? 'min' : 'sum'),
        delimiters: wire.step?.until ?? null,
        sigmoid: wire.sigmoid ?? false,
      },
      name: `ratio:${plus.name}/${minus.name}`,
      reads: 'prefix',
      readings: [above, below],
      at: `${at}.plus`,
    };
  },
);

/** Policies and guides may share a vocabulary, and models with the same tokenizer files do. */
const alike = (a: ModelCard, b: ModelCard): boolean =>
  (a.vocabulary !== null && a.vocabulary === b.vocabulary) || a.codec === b.codec;
