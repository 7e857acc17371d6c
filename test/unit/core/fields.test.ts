/** Schemas of what comes from outside. */

import { expect, test } from 'vitest';
import { check, integer, perLimits, strict } from '../../../src/core/fields.ts';

test('a schema for a server’s limits is built once, and differs where they do', () => {
  let built = 0;
  const schema = perLimits(({ most }: { readonly most: number }) => {
    built++;
    return strict({ n: integer(0, most) });
  });
  const [small, large] = [{ most: 1 }, { most: 9 }];
  for (let i = 0; i < 3; i++) expect(check(schema(large), { n: 9 }, '')).toEqual({ n: 9 });
  expect(() => check(schema(small), { n: 9 }, '')).toThrow('an integer from 0 to 1');
  expect(built).toBe(2);
});
