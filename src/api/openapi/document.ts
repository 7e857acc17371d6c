/** GET /openapi.json: OpenAPI 3.1, made of the schemas that parse requests. */

import { STATUS } from '../../core/errors.ts';
import { schemaOf } from '../../core/json_schema.ts';
import type { SchemaObject } from '../../core/json_schema.ts';
import type { Limits } from '../../plan/catalog.ts';
import { filled, messageContent, refTo, requestSchemas } from '../../plan/json_schemas.ts';
import { pageSchema } from '../responses/stored.ts';
import { detokenizeSchema, tokenizeSchema } from '../tokenize.ts';
import { answerSchemas } from './answers.ts';
import { operations } from './operations.ts';
import type { Operation } from './operations.ts';

/** What of this server the document depends on. */
interface Documented {
  readonly version: string;
  readonly limits: Limits;
  /** Whether callers need a key, and the routes that need none. */
  readonly keys: boolean;
  readonly open: ReadonlySet<string>;
}

export function openapi({ version, limits, keys, open }: Documented): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations)
    (paths[operation.path] ??= {})[operation.method] = {
      ...described(operation),
      ...(keys && open.has(operation.path) ? { security: [] } : {}),
    };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Coxswain',
      version,
      description:
        'OpenAI’s endpoints, and one object, `alignment`, that steers a frozen model by reward models. Unknown fields outside `alignment` are ignored.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    ...(keys ? { security: [{ key: [] }] } : {}),
    paths,
    components: {
      schemas: { ...requestSchemas(limits), ...tokenSchemas(limits), ...answerSchemas() },
      responses: { Error: { description: ERRORS, content: json(refTo('Error')) } },
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
  };
}

const ERRORS = `Every failure, in OpenAI’s shape. Codes and their statuses: ${Object.entries(STATUS)
  .map(([code, status]) => `${code} ${status}`)
  .join(', ')}. 429 and 503 carry \`retry-after\`.`;

const json = (schema: SchemaObject): object => ({ 'application/json': { schema } });

function described({ id, tag, summary, path, body, paged, ...operation }: Operation): object {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const parameters = [...inPath, ...(paged ? pageParameters() : [])];
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { required: true, content: json(refTo(body)) } } : {}),
    responses: {
      200: { description: 'Done', ...contentOf(operation) },
      default: { $ref: '#/components/responses/Error' },
    },
  };
}

function contentOf({ answer, stream }: Pick<Operation, 'answer' | 'stream'>): object {
  if (answer === null) return {};
  if (answer === 'text') return { content: { 'text/plain': { schema: { type: 'string' } } } };
  const { event, about } = stream ?? {};
  const events = event && {
    schema: { type: 'string', description: about },
    // OpenAPI 3.1 has no word for what an event holds; 3.2 calls it `itemSchema`.
    'x-event-schema': refTo(event),
  };
  const whole = json(refTo(answer));
  return { content: events ? { ...whole, 'text/event-stream': events } : whole };
}

const pageParameters = (): object[] =>
  Object.entries(schemaOf(pageSchema)['properties'] as Record<string, SchemaObject>).map(
    ([name, schema]) => ({ name, in: 'query', schema }),
  );

function tokenSchemas(limits: Limits): Readonly<Record<string, SchemaObject>> {
  const content = { content: messageContent() };
  return {
    TokenizeRequest: filled(schemaOf(tokenizeSchema(limits)), content),
    DetokenizeRequest: filled(schemaOf(detokenizeSchema), {
      tokens: { type: 'array', items: { type: 'integer', minimum: 0 } },
    }),
  };
}
