/** GET /v1/models and /v1/models/{id}. The list holds what answers this caller: policies and presets, with what may guide or judge them. */

import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';
import { guidesOf, policiesOf, policyCard, vectorsOf } from '../plan/catalog.ts';
import type { Catalog, ModelCard, Preset } from '../plan/catalog.ts';
import { isAllowed, refuseForbidden } from '../plan/grant.ts';
import type { Grant } from '../plan/grant.ts';

export function listModels(catalog: Catalog, grant: Grant): object {
  const allowed = ({ name }: { readonly name: string }): boolean => isAllowed(grant, name);
  const presets = [...catalog.presets.values()].filter(allowed);
  const policies = policiesOf(catalog).filter(allowed);
  const data = [
    ...policies.map((card) => modelOf(card, catalog)),
    ...presets.map((preset) => presetOf(preset, catalog)),
  ];
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
  const { name, role, reads, users } = card;
  const known =
    role === 'policy'
      ? { role, ...alignable(card, catalog) }
      : { role, reads: reads ?? null, ...(users === undefined ? {} : { users }) };
  return { ...entry(name, card, catalog), alignment: known };
}

function alignable(policy: ModelCard, catalog: Catalog): object {
  const others = guidesOf(catalog, policy).filter((card) => card !== policy);
  const rewards = [...catalog.models.values()].filter(({ role }) => role === 'reward');
  return {
    guides: others.map(({ name }) => name),
    rewards: rewards.map(({ name }) => name),
    steering: vectorsOf(catalog, policy),
  };
}

function presetOf({ name, policy, alignment, maxCost }: Preset, catalog: Catalog): object {
  return {
    ...entry(name, policyCard(catalog, policy), catalog),
    parent: policy,
    alignment: { role: 'preset', ...alignment, max_cost: maxCost },
  };
}
