/** {"personal": NAME, "user": [...]}: a model with a head that reads a user's latent beside the answer. */

import { ServeError } from '../../core/errors.ts';
import { list, number, show, text, wrong } from '../../core/fields.ts';
import type { Catalog, ModelCard } from '../catalog.ts';
import { readingOf, sourceKind } from './source.ts';

const FAR = 1e3;
const LONGEST = 8192;

export const personal = sourceKind(
  () => ({ personal: text(256, 1), user: list(number(-FAR, FAR), LONGEST, 1) }),
  ({ personal: name, user }, at, catalog) => {
    const card = personalCard(name, `${at}.personal`, catalog);
    if (user.length !== card.users)
      throw wrong(
        `${at}.user`,
        user,
        `a list of ${card.users} numbers: a user's latent, as ${name} reads it`,
      );
    return {
      source: { kind: 'personal', model: name, user },
      name,
      reads: card.reads ?? 'complete',
      stepwise: true,
      readings: [readingOf(card, null, `${at}.personal`)],
      at: `${at}.personal`,
    };
  },
);

function personalCard(name: string, at: string, catalog: Catalog): ModelCard {
  const card = catalog.models.get(name);
  if (card?.users !== undefined) return card;
  const able = [...catalog.models.values()].filter(({ users }) => users !== undefined);
  const names = able.map((one) => one.name).join(', ') || 'none';
  const what = card ? `a ${card.role} model without a latent_head` : 'not a model of this server';
  throw new ServeError(
    'model_not_found',
    `${at} is ${show(name)}, ${what}; models that judge for a user here: ${names}`,
    at,
  );
}
