/** GET /v1/models and /v1/models/{id}. The list holds what answers this caller: the policy and its presets, with what may guide or judge them. */

import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';
import { policyCard } from '../plan/catalog.ts';
import type { Catalog, ModelCard, Preset } from '../plan/catalog.ts';
import { isAllowed, refuseForbidden } from '../plan/grant.ts';
import type { Grant } from '../plan/grant.ts';

export function listModels(catalog: Catalog, grant: Grant): object {
  const policy = policyCard(catalog);
  const presets = [...catalog.presets.values()].filter(({ name }) => isAllowed(grant, name));
  const data = presets.map((preset) => presetOf(preset, catalog));
  if (isAllowed(grant, policy.name)) data.unshift(modelOf(policy, catalog));
  return { object: 'list', data };
}

/**
 * Guides and rewards too, which are not listed since they do not answer.
 * @throws ServeError if there is none of that name, or the caller may not use it
 */
export function oneModel(catalog: Catalog, name: string, grant: Grant): object {
  refuseForbidden(grant, [{ name, at: 'model' }]);
  const preset = catalog.presets.get(name);
  if (preset) return presetOf(preset, catalog);
  const card = catalog.models.get(name);
  if (card) return modelOf(card, catalog);
  const known = [...catalog.models.keys(), ...catalog.presets.keys()].join(', ');
  throw new ServeError('model_not_found', `no model ${show(name)}; models here: ${known}`, 'model');
}

const entry = (id: string, { created, context }: ModelCard, catalog: Catalog) => ({
  id,
  object: 'model',
  created,
  owned_by: 'coxswain',
  max_model_len: Math.min(context, catalog.maxLength),
});

function modelOf(card: ModelCard, catalog: Catalog): object {
  const { name, role, reads } = card;
  const known =
    role === 'policy' ? { role, ...alignable(catalog) } : { role, reads: reads ?? null };
  return { ...entry(name, card, catalog), alignment: known };
}

function alignable({ models }: Catalog): object {
  const named = (role: ModelCard['role']) =>
    [...models.values()].filter((card) => card.role === role).map(({ name }) => name);
  return { guides: named('guide'), rewards: named('reward') };
}

function presetOf({ name, policy, alignment, maxCost }: Preset, catalog: Catalog): object {
  return {
    ...entry(name, policyCard(catalog), catalog),
    parent: policy,
    alignment: { role: 'preset', ...alignment, max_cost: maxCost },
  };
}
