import { Validator as Document } from '@seriousme/openapi-schema-validator';
import { Validator } from '@cfworker/json-schema';
import type { Express } from 'express';
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { tokenizeSchema } from '../../src/api/tokenize.ts';
import { hashKey } from '../../src/ops/keys.ts';
import { rerankSchema } from '../../src/plan/rerank.ts';
import {
  alignmentSchema,
  chatSchema,
  completionSchema,
  responsesSchema,
} from '../../src/plan/wire.ts';
import { scoreSchema } from '../../src/plan/score.ts';
import { strategies } from '../../src/strategies/index.ts';
import { limits } from '../fakes/catalog.ts';
import { served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';

const documentOf = async ({ base }: Served): Promise<Json> =>
  (await (await fetch(`${base}/openapi.json`)).json()) as Json;

test('the document is valid OpenAPI 3.1', async () => {
  await using server = await served();
  const document = await documentOf(server);
  const { valid, errors } = await new Document().validate(document);
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
  expect(document['info'].version).toBe('9.9.9');
});

interface Layer {
  readonly route?: { readonly path: string; readonly stack: readonly { method?: string }[] };
}

test('it has every route, and no other', async () => {
  await using server = await served();
  const [app] = server.api.http.listeners('request') as unknown as [Express];
  const layers = app.router.stack as unknown as readonly Layer[];
  const routes = layers.flatMap(({ route }) =>
    route === undefined
      ? []
      : route.stack
          .flatMap(({ method }) => method ?? []) // those of every method refuse the others
          .map((method) => `${method} ${route.path.replaceAll(/[:*](\w+)/g, '{$1}')}`),
  );
  const { paths } = await documentOf(server);
  const told = Object.entries(paths as Json).flatMap(([path, methods]) =>
    Object.keys(methods as Json).map((method) => `${method} ${path}`),
  );
  expect(told.toSorted()).toEqual(routes.toSorted());
  expect(routes.length).toBeGreaterThan(20);
});

const requests: readonly [string, z.ZodObject][] = [
  ['ChatCompletionRequest', chatSchema(limits)],
  ['CompletionRequest', completionSchema(limits)],
  ['ResponseRequest', responsesSchema(limits)],
  ['ScoreRequest', scoreSchema(limits)],
  ['RerankRequest', rerankSchema(limits)],
  ['TokenizeRequest', tokenizeSchema(limits)],
  ['Alignment', alignmentSchema(limits)],
];

test('it has every field that is parsed, and none is left open', async () => {
  await using server = await served();
  const { schemas } = (await documentOf(server))['components'];
  for (const [name, schema] of requests)
    expect(Object.keys(schemas[name].properties as Json)).toEqual(Object.keys(schema.shape));
  const open = Object.entries(schemas as Json).flatMap(([name, shape]) =>
    openIn(shape as Json, name),
  );
  expect(open).toEqual([]);
});

test('it has the fields of every strategy and of every way to prune', async () => {
  await using server = await served();
  const { schemas } = (await documentOf(server))['components'];
  const fieldsOf = (name: string): Json =>
    Object.fromEntries(
      (schemas[name].anyOf as Json[]).map(({ properties }) => [
        properties.type.const as string,
        Object.keys(properties as Json),
      ]),
    );
  const all = fieldsOf('Strategy');
  expect(Object.keys(all)).toEqual(Object.keys(strategies));
  expect(all['best_of_n']).toEqual(['type', 'n', 'by', 'select', 'lambda', 'prune', 'adaptive']);
  expect(all['sample']).toEqual(['type']);
  expect(fieldsOf('Prune')['value']).toEqual(['type', 'threshold', 'min_tokens', 'every']);
  const fits = (strategy: object) =>
    new Validator(
      { $ref: '#/components/schemas/Alignment', components: { schemas } },
      '2020-12',
      false,
    ).validate({ strategy }).valid;
  const prune = { type: 'speculative_rejection', alpha: 0.5 };
  expect(fits({ type: 'best_of_n', n: 4, prune })).toBe(true);
  expect(fits({ type: 'best_of_n', n: 4, prune: { ...prune, beta: 1 } })).toBe(false);
  expect(fits({ type: 'beam', n: 4 })).toBe(false);
  expect(fits({ type: 'mcts', segment: { until: ['\n'] }, answer: null })).toBe(true);
});

/** Paths of fields of which nothing is said. */
function openIn(shape: Json, at: string): string[] {
  const inner = [
    ...Object.entries((shape['properties'] ?? {}) as Json).map(([key, one]) => [
      one,
      `${at}.${key}`,
    ]),
    ...[...(shape['anyOf'] ?? []), ...(shape['oneOf'] ?? [])].map((one) => [one as Json, at]),
    ...('items' in shape ? [[shape['items'], `${at}[]`]] : []),
  ] as [Json, string][];
  const words = Object.keys(shape).filter((key) => key !== 'description');
  return [
    ...(words.length === 0 ? [at] : []),
    ...inner.flatMap(([one, path]) => openIn(one, path)),
  ];
}

const say = { model: 'tales', max_tokens: 3 };
const messages = [{ role: 'user', content: 'abc' }];
const scored = { model: 'rm-happy-a', documents: ['a', 'bb'] };
test.each([
  ['/v1/chat/completions', { ...say, messages, logprobs: true, alignment: { explain: true } }],
  ['/v1/completions', { ...say, prompt: 'abc', n: 2, logprobs: 1 }],
  ['/v1/responses', { model: 'tales', input: 'abc', max_output_tokens: 3 }],
  ['/v1/score', { ...scored, queries: 'q' }],
  ['/v1/rerank', { ...scored, query: 'q' }],
  ['/tokenize', { prompt: 'abc', return_token_strs: true }],
  ['/detokenize', { tokens: [5, 6] }],
  ['/v1/chat/completions', { messages: 5 }],
])('what is taken and given at %s is as the document has it', async (path, body) => {
  await using server = await served();
  const { paths, components } = await documentOf(server);
  const { requestBody, responses } = paths[path].post as Json;
  const fits = (schema: unknown, value: unknown) =>
    new Validator({ ...(schema as object), components }, '2020-12', false).validate(value);
  const answer = await server.post(path, body);
  const good = answer.status === 200;
  const taken = fits(requestBody.content['application/json'].schema, body);
  expect(taken.valid, JSON.stringify(taken.errors)).toBe(good);
  const schema = good
    ? (responses['200'].content['application/json'].schema as unknown)
    : { $ref: '#/components/schemas/Error' };
  const given = fits(schema, await answer.json());
  expect(given.errors).toEqual([]);
});

test('with keys it needs one, and says which routes do not', async () => {
  const keys = { a: { sha256: hashKey('secret') } };
  await using server = await served({ keys, open_routes: ['/ready'] });
  expect((await fetch(`${server.base}/openapi.json`)).status).toBe(401);
  const headers = { authorization: 'Bearer secret' };
  const document = (await (await fetch(`${server.base}/openapi.json`, { headers })).json()) as Json;
  expect(document['security']).toEqual([{ key: [] }]);
  const free = Object.entries(document['paths'] as Json).filter(([, { get }]) => get?.security);
  expect(free.map(([path]) => path)).toEqual(['/health', '/ready']);
});
