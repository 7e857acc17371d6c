/** Zod schemas as JSON Schemas of what may be given: for documents that must not say anything else than what parses. */

import { z } from 'zod';

/** A JSON Schema, draft 2020-12. */
export type SchemaObject = Readonly<Record<string, unknown>>;

/** What is read by hand reads as anything. */
export function schemaOf(schema: z.ZodType): SchemaObject {
  const { $schema: _draft, ...shape } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      const item = itemOf(zodSchema);
      if (item) jsonSchema.items = schemaOf(item) as typeof jsonSchema;
      if (zodSchema instanceof z.ZodDefault) jsonSchema.default = zodSchema.def.defaultValue;
    },
  });
  return shape;
}

/** Of a `list`, which counts its items before it looks at them: of what its first half takes nothing is said but their number. */
function itemOf(schema: z.core.$ZodType): z.ZodType | null {
  if (!(schema instanceof z.ZodPipe)) return null;
  const { in: counted, out } = schema.def;
  if (!(counted instanceof z.ZodArray && out instanceof z.ZodArray)) return null;
  return out.element as z.ZodType;
}
