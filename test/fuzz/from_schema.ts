/** Values that fit a zod schema, drawn by walking its JSON Schema; fields that the schema leaves open are drawn by name. */

import { z } from 'zod';
import type { Chance } from './chance.ts';
import { hostile } from './hostile.ts';

export type Draw = (chance: Chance) => unknown;
/** By a field's name. */
export type Named = Readonly<Record<string, Draw>>;

interface Shape {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Shape;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** @param share how many of the fields that may be left out are given */
export function drawing(schema: z.ZodType, named: Named, share: number): Draw {
  const shape = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }) as Shape;
  return (chance) => drawn(shape, { chance, named, share });
}

interface Drawing {
  readonly chance: Chance;
  readonly named: Named;
  readonly share: number;
}

function drawn(shape: Shape, how: Drawing): unknown {
  const { chance } = how;
  const forms = shape.anyOf ?? shape.oneOf;
  if (forms) return drawn(chance.pick(forms), how);
  if (shape.enum) return chance.pick(shape.enum);
  if ('const' in shape) return shape.const;
  switch (shape.type) {
    case 'object':
      return object(shape, how);
    case 'array':
      return Array.from({ length: chance.integer(0, 2) }, () => drawn(shape.items ?? {}, how));
    case 'integer':
      return Math.round(bounded(shape, chance));
    case 'number':
      return bounded(shape, chance);
    case 'string':
      return chance.pick(['a', 'tales', 'One day, Tom', 'x y', '🙂']);
    case 'boolean':
      return chance.is(0.5);
    case 'null':
      return null;
    default:
      return hostile(chance);
  }
}

function object({ properties = {}, required = [] }: Shape, how: Drawing): object {
  const { chance, named, share } = how;
  const keys = Object.keys(properties).filter((key) => required.includes(key) || chance.is(share));
  return Object.fromEntries(
    keys.map((key) => {
      const by = Object.hasOwn(named, key) ? named[key] : undefined;
      return [key, by ? by(chance) : drawn(properties[key]!, how)];
    }),
  );
}

/** Bounds themselves are drawn often. */
function bounded({ minimum = -10, maximum = 10 }: Shape, chance: Chance): number {
  if (chance.is(0.2)) return minimum;
  if (chance.is(0.1)) return maximum;
  const most = Math.min(maximum, minimum + 4);
  return minimum + chance.share() * (most - minimum);
}
