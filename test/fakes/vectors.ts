/** The numeric vectors of test/vectors: cases by name. Non-finite numbers are spelled as strings there. */

import { readFileSync } from 'node:fs';

export interface VectorCase<In, Out> {
  readonly name: string;
  readonly input: In;
  readonly expected: Out;
}

export interface Vectors<In, Out> {
  readonly tolerance: number;
  readonly cases: readonly VectorCase<In, Out>[];
}

export function vectors<In, Out>(file: string): Vectors<In, Out> {
  const path = new URL(`../vectors/${file}`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8'), (_, value: unknown) =>
    value === '-Infinity' ? -Infinity : value === 'Infinity' ? Infinity : value,
  ) as Vectors<In, Out>;
}

/** The one case whose name starts with `name`. Throws if there is none. */
export function vectorCase<In, Out>(file: string, name: string): VectorCase<In, Out> {
  const found = vectors<In, Out>(file).cases.find((c) => c.name.startsWith(name));
  if (found === undefined) throw new Error(`${file} has no case ${name}`);
  return found;
}
