/** What the kinds of source that ask a language model share: which models can be asked, and what they can be asked. */

import { ServeError } from '../../core/errors.ts';
import { oneOf, show, wrong } from '../../core/fields.ts';
import type { Token } from '../../core/tree.ts';
import type { Catalog, ModelCard } from '../catalog.ts';
import { wellFormed } from '../prompt.ts';

/** Whether unfinished answers may be judged: for the client to say, as no manifest can. */
export const readsField = oneOf(['prefix', 'complete']).nullish();

/** The policy, a guide, or a reward that is a language model itself. */
export function languageModel(name: string, at: string, catalog: Catalog): ModelCard {
  const card = catalog.models.get(name);
  const able = (one: ModelCard): boolean => one.head === undefined && one.role !== 'value';
  if (card && able(card)) return card;
  const models = [...catalog.models.values()].filter(able).map((one) => one.name);
  const what = card
    ? `a ${card.role} model, which is no language model`
    : 'not a model of this server';
  throw new ServeError(
    'model_not_found',
    `${at} is ${show(name)}, ${what}; language models here: ${models.join(', ')}`,
    at,
  );
}

/** What a user says to the answer, up to where the model speaks. */
export function questionTokens(card: ModelCard, question: string, at: string): Token[] {
  const { lead, content, rest } = turnOf(card, question, at);
  return [...lead, ...content, ...rest];
}

/** A user's turn after the answer, by the model's template. */
export function turnOf(card: ModelCard, content: string, at: string) {
  try {
    return card.codec.turn(wellFormed(content, at));
  } catch (error) {
    if (!(error instanceof ServeError)) throw error;
    throw new ServeError(error.code, `${card.name}: ${error.message}`, at);
  }
}

/** The one token that a label is: a special token by its name, or a text. */
export function labelToken(card: ModelCard, label: string, at: string): Token {
  const [token, ...more] = spelled(card, wellFormed(label, at));
  if (token !== undefined && more.length === 0) return token;
  throw wrong(at, label, `a text that is one token of ${card.name}`);
}

function spelled({ codec }: ModelCard, label: string): readonly Token[] {
  const { vocabulary } = codec;
  const special = vocabulary.banned.find((token) => vocabulary.piece(token) === label);
  return special === undefined ? codec.encode(label) : [special];
}

/** How a model says yes and no: by tokens of their own, where it has them. */
export const yesNo = (card: ModelCard): readonly [string, string] =>
  spelled(card, '<|yes|>').length === 1 && spelled(card, '<|no|>').length === 1
    ? ['<|yes|>', '<|no|>']
    : ['Yes', 'No'];
