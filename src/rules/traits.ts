/** What tells the alternatives of a `oneOf` apart, as far as types and the constants of required properties show it. */

import { kindsOf, valuesOf, type Kind, type Refs } from './keywords.ts';
import type { Work } from './work.ts';

interface Traits {
  /** Its values as JSON, where it lists them. */
  readonly values: ReadonlySet<string> | null;
  readonly kinds: readonly Kind[] | null;
  /** Values of required properties that list them. */
  readonly tags: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Steps of work that comparing two alternatives takes, and each value or property that is looked up. */
const PAIR = 4;
const LOOK = 4;

/** The first alternative that may accept what one before it accepts, after that one; null: there is none. */
export function clashing(
  parts: readonly unknown[],
  refs: Refs,
  at: string,
  work: Work,
): readonly [number, number] | null {
  const before: (Traits | null)[] = [];
  for (const [i, part] of parts.entries()) {
    const traits = part === false ? NOTHING : traitsOf(part, refs, at);
    const clash = before.findIndex((other) => !areApart(traits, other, work));
    if (clash >= 0) return [clash, i];
    before.push(traits);
  }
  return null;
}

const NOTHING: Traits = { values: new Set(), kinds: [], tags: new Map() };

/** Null: it may accept anything. */
function traitsOf(part: unknown, refs: Refs, at: string): Traits | null {
  const found = refs.followed(part, at);
  if (found === null) return null;
  const tags = new Map<string, ReadonlySet<string>>();
  for (const name of new Set(found.required)) {
    const property = found.properties?.[name];
    const values = property === undefined ? null : refs.followed(property, at);
    const listed = values && valuesOf(values);
    if (listed) tags.set(name, spelled(listed));
  }
  const values = valuesOf(found);
  return { values: values && spelled(values), kinds: kindsOf(found, at), tags };
}

const spelled = (values: readonly unknown[]): ReadonlySet<string> =>
  new Set(values.map((value) => JSON.stringify(value)));

function areApart(a: Traits | null, b: Traits | null, work: Work): boolean {
  work.spend(PAIR);
  if (a === NOTHING || b === NOTHING) return true;
  if (a === null || b === null) return false;
  if (a.values !== null && b.values !== null) return shareNone(a.values, b.values, work);
  const { kinds } = b;
  if (a.kinds && kinds && !a.kinds.some((kind) => kinds.some((other) => meet(kind, other))))
    return true;
  for (const [name, values] of a.tags) {
    work.spend(LOOK);
    const others = b.tags.get(name);
    if (others !== undefined && shareNone(values, others, work)) return true;
  }
  return false;
}

function shareNone(a: ReadonlySet<string>, b: ReadonlySet<string>, work: Work): boolean {
  const [few, many] = a.size <= b.size ? [a, b] : [b, a];
  for (const value of few) {
    work.spend(LOOK);
    if (many.has(value)) return false;
  }
  return true;
}

const meet = (a: Kind, b: Kind): boolean =>
  a === b || (a === 'number' && b === 'integer') || (a === 'integer' && b === 'number');
