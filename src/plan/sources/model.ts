/** {"model": NAME}: a model with a scalar head. */

import { ServeError } from '../../core/errors.ts';
import { show, text } from '../../core/fields.ts';
import type { Catalog, ModelCard } from '../catalog.ts';
import { readingOf, sourceKind } from './source.ts';
import type { SourceSpec } from './source.ts';

export const model = sourceKind(
  () => ({ model: text(256, 1) }),
  (wire, at, catalog) => modelSource(wire.model, `${at}.model`, catalog),
);

/** @param at path of the field that names it */
export function modelSource(name: string, at: string, catalog: Catalog): SourceSpec {
  const card = rewardCard(name, at, catalog);
  return {
    source: { kind: 'model', model: name },
    name,
    reads: card.reads ?? 'complete',
    ...(card.stats ? { stats: card.stats } : {}),
    ...(card.schedules ? { schedules: card.schedules } : {}),
    stepwise: true,
    readings: [readingOf(card, null, at)],
    at,
  };
}

function rewardCard(name: string, at: string, catalog: Catalog): ModelCard {
  const card = catalog.models.get(name);
  const scalar = ({ role, head }: ModelCard): boolean =>
    (role === 'reward' || role === 'value') && head === 'scalar';
  if (card && scalar(card)) return card;
  const rewards = [...catalog.models.values()].filter(scalar);
  const what = card
    ? `a ${card.role} model without a scalar head, which judges as "likelihood" or "judge"`
    : 'not a model of this server';
  throw new ServeError(
    'model_not_found',
    `${at} is ${show(name)}, ${what}; rewards here: ${rewards.map((one) => one.name).join(', ')}`,
    at,
  );
}
