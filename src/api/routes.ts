/** Which path goes to which handler. Other methods of a path are refused, with those that it takes. */

import type { Express, Request, Response } from 'express';
import { ServeError } from '../core/errors.ts';
import type { Access } from './callers/access.ts';
import type { Context } from './context.ts';
import { generate } from './generate.ts';
import { listModels, oneModel } from './models.ts';
import { openapi } from './openapi/document.ts';
import { health, load, metricsPage, ping, ready } from './probes.ts';
import { callerOf } from './reply.ts';
import { reranks } from './rerank.ts';
import type { ResponseStore } from './responses/store.ts';
import { storedRoutes } from './responses/stored.ts';
import { score } from './score.ts';
import { scoreTexts, Texts } from './score_texts.ts';
import type { Surface } from './surface.ts';
import { counted, detokenize, tokenize } from './tokenize.ts';

/** What is made once per server. */
export interface Parts {
  readonly access: Access;
  readonly surfaces: readonly Surface[];
  readonly store: ResponseStore;
}

type Handler = (req: Request, res: Response) => void | Promise<void>;

/** A test compares them with openapi/operations.ts. */
export function addRoutes(
  app: Express,
  context: Context,
  { access, surfaces, store }: Parts,
): void {
  const get = (path: string, handler: Handler): void =>
    void app.route(path).get(handler).all(otherMethod('GET, HEAD'));
  const post = (path: string, handler: Handler): void =>
    void app.route(path).post(handler).all(otherMethod('POST'));

  for (const surface of surfaces) post(surface.endpoint, generate(surface, context));
  const stored = storedRoutes(context, store);
  app
    .route('/v1/responses/:id')
    .get(told(stored.read))
    .delete(told(stored.forget))
    .all(otherMethod('GET, HEAD, DELETE'));
  get('/v1/responses/:id/input_items', told(stored.input));
  post('/v1/responses/:id/cancel', told(stored.cancel));

  const texts = new Texts(context.settings.scored_texts);
  post(score.endpoint, scoreTexts(score, context, texts));
  for (const rerank of reranks) post(rerank.endpoint, scoreTexts(rerank, context, texts));
  post('/tokenize', counted(context, '/tokenize', tokenize));
  post('/detokenize', counted(context, '/detokenize', detokenize));

  const { catalog, version } = context;
  get('/v1/models', (_req, res) => void res.json(listModels(catalog, callerOf(res).grant)));
  get(
    '/v1/models/*name',
    (req, res) => void res.json(oneModel(catalog, wildcard(req), callerOf(res).grant)),
  );
  get('/health', health);
  get('/ping', ping);
  get('/load', load(context));
  get('/ready', ready(context));
  get('/version', (_req, res) => void res.json({ version }));
  get('/metrics', metricsPage(context));
  get('/openapi.json', document(context, access));
}

const told =
  (about: (req: Request) => object | Promise<object>): Handler =>
  async (req, res) =>
    void res.json(await about(req));

/** Written when it is first asked for: schemas take a while to spell. */
function document({ catalog, settings, version }: Context, { open }: Access): Handler {
  const keys = Object.keys(settings.keys).length > 0;
  let written: object | null = null;
  return (_req, res) =>
    void res.json((written ??= openapi({ version, limits: catalog.limits, keys, open })));
}

/** Names of models may hold slashes. */
function wildcard(req: Request): string {
  const parts: unknown = req.params['name'];
  return Array.isArray(parts) ? parts.join('/') : String(parts);
}

const otherMethod =
  (allowed: string): Handler =>
  (req, res) => {
    res.setHeader('allow', allowed);
    throw new ServeError('method_not_allowed', `${req.method} is not allowed; ${allowed} is`);
  };
