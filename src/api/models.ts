/** GET /v1/models and /v1/models/{id}: the policy, the presets, and what may guide or judge it. */

import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';
import type { Catalog, ModelCard, Preset } from '../plan/catalog.ts';
import { policyCard } from '../plan/catalog.ts';

/** Only the policy and its presets answer; the role says so of the others. */
export function listModels(catalog: Catalog): object {
  const cards = [...catalog.models.values()].map((card) => modelOf(card, catalog));
  const presets = [...catalog.presets.values()].map((preset) => presetOf(preset, catalog));
  return { object: 'list', data: [...cards, ...presets] };
}

/** @throws ServeError if there is none of that name */
export function oneModel(catalog: Catalog, name: string): object {
  const preset = catalog.presets.get(name);
  if (preset) return presetOf(preset, catalog);
  const card = catalog.models.get(name);
  if (card) return modelOf(card, catalog);
  const known = [...catalog.models.keys(), ...catalog.presets.keys()].join(', ');
  throw new ServeError('model_not_found', `no model ${show(name)}; models here: ${known}`, 'model');
}

function modelOf({ name, created, role, context, reads }: ModelCard, catalog: Catalog): object {
  const max_model_len = Math.min(context, catalog.maxLength);
  const alignment = { role, ...(reads === undefined ? {} : { reads }) };
  return { id: name, object: 'model', created, owned_by: 'coxswain', max_model_len, alignment };
}

function presetOf({ name, policy, alignment, maxCost }: Preset, catalog: Catalog): object {
  const { created, context } = policyCard(catalog);
  return {
    id: name,
    object: 'model',
    created,
    owned_by: 'coxswain',
    parent: policy,
    max_model_len: Math.min(context, catalog.maxLength),
    alignment: { role: 'preset', ...alignment, max_cost: maxCost },
  };
}
