/** {"likelihood": MODEL}: log q of the answer; with "follow_up", how likely is what readers would say to it. */

import { list, oneOf, strict, text, wrong } from '../../core/fields.ts';
import type { Limits } from '../catalog.ts';
import { ownPrompt } from '../wire.ts';
import { languageModel, readsField, turnOf } from './language_model.ts';
import { readingOf, sourceKind } from './source.ts';

export const likelihood = sourceKind(
  () => ({
    likelihood: text(256, 1),
    aggregate: oneOf(['sum', 'mean']).nullish(),
    prompt: ownPrompt,
  }),
  (wire, at, catalog) => {
    const card = languageModel(wire.likelihood, `${at}.likelihood`, catalog);
    const reading = readingOf(card, wire.prompt, `${at}.prompt`);
    const by = { model: card.name, reading: reading.key };
    return {
      source: { kind: 'likelihood', by, aggregate: wire.aggregate ?? 'sum' },
      name: `likelihood:${card.name}`,
      reads: 'prefix',
      readings: [reading],
      at: `${at}.likelihood`,
    };
  },
);

const lines = ({ questions, questionLength }: Limits) =>
  list(text(questionLength, 1), questions).nullish();

export const followUp = sourceKind(
  (limits) => ({
    likelihood: text(256, 1),
    follow_up: strict({ positive: lines(limits), negative: lines(limits) }),
    prompt: ownPrompt,
    reads: readsField,
  }),
  (wire, at, catalog) => {
    const card = languageModel(wire.likelihood, `${at}.likelihood`, catalog);
    const [positive, negative] = (['positive', 'negative'] as const).map((side) =>
      (wire.follow_up[side] ?? []).map((line, i) =>
        turnOf(card, line, `${at}.follow_up.${side}[${i}]`),
      ),
    );
    const turns = [...positive!, ...negative!];
    if (turns.length === 0)
      throw wrong(`${at}.follow_up`, wire.follow_up, 'an object with positive or negative lines');
    const extra = Math.max(...turns.map(({ lead, content }) => lead.length + content.length));
    const reading = readingOf(card, wire.prompt, `${at}.prompt`, extra);
    const reads = wire.reads ?? 'complete';
    const by = { model: card.name, reading: reading.key };
    return {
      source: { kind: 'follow_up', by, positive: positive!, negative: negative!, reads },
      name: `follow_up:${card.name}`,
      reads,
      readings: [reading],
      at: `${at}.likelihood`,
    };
  },
);
