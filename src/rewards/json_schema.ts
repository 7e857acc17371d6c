/** Whether a text is JSON that fits a schema. The schema is interpreted, never compiled: what a client sends does not become code. */

import { Validator } from '@cfworker/json-schema';
import type { JsonSchema } from '../core/reward.ts';

/** UTF-16 units. Validation takes time linear in the text, and the text is short beside this. */
const LONGEST = 1 << 20;

/** @param schema of the subset that plan/sources/json_schema.ts lets through */
export function fitting(schema: JsonSchema): (text: string) => boolean {
  const validator = new Validator(schema, '2020-12');
  return (text) => {
    const value = text.length <= LONGEST ? parsed(text) : undefined;
    return value !== undefined && validator.validate(value).valid;
  };
}

/** undefined where the text is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
