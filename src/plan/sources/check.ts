/** {"check": "number", "answer": 44} and {"check": "json", "schema": {...}}: 1 where the text is right, else 0. */

import { answerField } from '../../core/answer.ts';
import { anything, oneOf, wrong } from '../../core/fields.ts';
import type { RewardSource } from '../../core/reward.ts';
import type { Catalog } from '../catalog.ts';
import { boundedSchema } from './json_schema.ts';
import { sourceKind } from './source.ts';

const fields = {
  check: oneOf(['number', 'json']),
  answer: anything,
  extract: answerField.nullish(),
  schema: anything,
};

interface Wire {
  readonly check: 'number' | 'json';
  readonly answer?: unknown;
  readonly extract?: Extract<RewardSource, { kind: 'number' }>['extract'] | null | undefined;
  readonly schema?: unknown;
}

export const check = sourceKind(
  () => fields,
  (wire, at, catalog) => ({
    source: CHECKS[wire.check](wire, at, catalog),
    name: wire.check,
    reads: 'complete',
    readings: [],
    at: `${at}.check`,
  }),
);

const CHECKS: Readonly<
  Record<Wire['check'], (wire: Wire, at: string, catalog: Catalog) => RewardSource>
> = {
  number({ answer, extract, schema }, at) {
    if (schema !== undefined) throw wrong(`${at}.schema`, schema, 'left out beside a number');
    return {
      kind: 'number',
      answer: numeral(answer, `${at}.answer`),
      extract: extract ?? { extract: 'last_number' },
    };
  },
  json({ answer, extract, schema }, at, { limits }) {
    for (const [key, value] of Object.entries({ answer, extract }))
      if (value !== undefined) throw wrong(`${at}.${key}`, value, 'left out beside a schema');
    return { kind: 'schema', schema: boundedSchema(schema, `${at}.schema`, limits) };
  },
};

/** Numbers beyond a double's digits come as strings. */
function numeral(raw: unknown, at: string): string {
  const written = typeof raw === 'number' ? String(raw) : raw;
  if (typeof written === 'string' && /^-?\d{1,30}(\.\d{1,30})?$/.test(written)) return written;
  throw wrong(at, raw, 'a number, or a string of digits');
}
