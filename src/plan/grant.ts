/** What a caller may ask for: which names, at what cost. Its API key decides; without keys everything is allowed. */

import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';
import type { Preset } from './catalog.ts';

export interface Grant {
  /** Models and presets that may be named; null: all of them. */
  readonly models: ReadonlySet<string> | null;
  /** Most tokens one request may generate, over all branches and choices. */
  readonly maxCost: number;
  /** Prompts cached for one salt are never served to another. */
  readonly salt: string;
}

export const ANYTHING: Grant = { models: null, maxCost: Infinity, salt: '' };

/** A name that a request gives itself, and the path of its field. */
export interface Named {
  readonly name: string;
  readonly at: string;
}

export const isAllowed = ({ models }: Grant, name: string): boolean => models?.has(name) ?? true;

/** @throws ServeError for the first name that is not allowed */
export function refuseForbidden(grant: Grant, names: readonly Named[]): void {
  const forbidden = names.find(({ name }) => !isAllowed(grant, name));
  if (!forbidden) return;
  const allowed = [...(grant.models ?? [])].join(', ');
  throw new ServeError(
    'forbidden_model',
    `${forbidden.at} is ${show(forbidden.name)}, which this API key may not use; it may use ${allowed}`,
    forbidden.at,
  );
}

/** What a request for an answer names. */
interface Naming {
  readonly model: string;
  readonly preset: Preset | null;
  /** Its own `alignment`, as given. */
  readonly given: unknown;
  /** Guides and rewards in it. */
  readonly named: readonly Named[];
}

/**
 * What a request names itself must be allowed; what a preset brings along is. Whoever may use only the preset takes
 * it as it is: a weight of zero would be the bare policy.
 * @throws ServeError
 */
export function refuseOverGrant(grant: Grant, { model, preset, given, named }: Naming): void {
  refuseForbidden(grant, [{ name: model, at: 'model' }, ...named]);
  if (preset === null || isAllowed(grant, preset.policy) || !changes(given)) return;
  throw new ServeError(
    'forbidden_model',
    `this API key may use ${preset.name} only as it is; leave out alignment, all but explain`,
    'alignment',
  );
}

const changes = (alignment: unknown): boolean =>
  typeof alignment === 'object' &&
  alignment !== null &&
  Object.keys(alignment).some((part) => part !== 'explain');
