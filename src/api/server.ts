/** The HTTP server: routes, probes, limits, and errors to JSON. No middleware stands between a route and its handler. */

import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import express from 'express';
import type { ErrorRequestHandler, Express, NextFunction, Request, Response } from 'express';
import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';
import { Origins } from './browsers.ts';
import { chat } from './chat.ts';
import { completions } from './completions.ts';
import type { Context } from './context.ts';
import { generate } from './generate.ts';
import { refuseMalformed } from './malformed.ts';
import { listModels, oneModel } from './models.ts';
import { judge, Texts } from './judge.ts';
import { health, load, metricsPage, ping, ready } from './probes.ts';
import { Keys } from './keys.ts';
import { reranks } from './rerank.ts';
import { openapi } from './openapi.ts';
import { callerOf, knownFailure, requestId, sendFailure } from './reply.ts';
import { ResponseStore } from './response_store.ts';
import { responses } from './responses.ts';
import { score } from './score.ts';
import { storedRoutes } from './stored.ts';
import type { Surface } from './surface.ts';
import { counted, detokenize, tokenize } from './tokenize.ts';
import { Sockets } from './websocket.ts';
import type { Gate } from './websocket.ts';

/** Longer than the clients' and proxies' own, so that they close first. */
const KEEP_ALIVE_MS = 75_000;

export interface ApiServer {
  readonly http: Server;
  /** Finishes what runs, within `ms`, then closes every connection. */
  drain(ms: number): Promise<void>;
}

export function createApi(context: Context): ApiServer {
  const { settings, metrics, planner } = context;
  const gate = gateOf(context);
  const { entries, bytes, socket_entries, socket_bytes } = settings.responses;
  const store = new ResponseStore({ entries, bytes });
  metrics.hold('response_store_bytes', () => store.bytes);
  metrics.hold('compiled_rule_bytes', () => planner.ruleBytes);
  const another = () => new ResponseStore({ entries: socket_entries, bytes: socket_bytes });
  const surfaces = [chat, completions, responses({ shared: store, own: null, another })];
  const http = createServer(
    {
      maxHeaderSize: settings.header_bytes,
      requestTimeout: settings.request_ms,
      headersTimeout: settings.request_ms,
      // Node looks every 30 s if it is not told: a deadline may be late by a tenth.
      connectionsCheckingInterval: Math.ceil(settings.request_ms / 10),
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    },
    application(context, { gate, surfaces, store }),
  );
  http.maxConnections = settings.connections;
  const sockets = new Sockets(context, surfaces, gate);
  http.on('clientError', refuseMalformed);
  http.on('upgrade', (req, socket: Socket, head) => sockets.upgrade(req, socket, head));
  return {
    http,
    async drain(ms) {
      await context.work.drain(ms);
      sockets.close();
      await new Promise<void>((resolve) => {
        http.close(() => resolve());
        http.closeIdleConnections();
        setTimeout(() => http.closeAllConnections(), 1000).unref();
      });
    },
  };
}

/** Who is let in: one gate for HTTP and WebSocket. */
const gateOf = ({ settings, ambient }: Context): Gate => ({
  keys: new Keys(settings.keys, () => ambient.ms()),
  origins: new Origins(settings.origins),
  open: new Set(['/health', ...settings.open_routes]),
});

type Handler = (req: Request, res: Response) => void | Promise<void>;

/** What is made once per server. */
interface Parts {
  readonly gate: Gate;
  readonly surfaces: readonly Surface[];
  readonly store: ResponseStore;
}

function application(context: Context, { gate, surfaces, store }: Parts): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.use((req: Request, res: Response, next: NextFunction) => {
    res.setHeader('x-request-id', chosenId(req) ?? context.ambient.id('req_'));
    if (gate.origins.answer(req, res)) return;
    if (!gate.open.has(req.path)) res.locals['caller'] = gate.keys.callerOf(req);
    next();
  });
  const get = (path: string, handler: Handler): void => {
    app.route(path).get(handler).all(otherMethod('GET, HEAD'));
  };
  const post = (path: string, handler: Handler): void => {
    app.route(path).post(handler).all(otherMethod('POST'));
  };
  const told =
    (about: (req: Request) => object | Promise<object>): Handler =>
    async (req, res) =>
      void res.json(await about(req));
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
  post(score.endpoint, judge(score, context, texts));
  for (const rerank of reranks) post(rerank.endpoint, judge(rerank, context, texts));
  post('/tokenize', counted(context, '/tokenize', tokenize));
  post('/detokenize', counted(context, '/detokenize', detokenize));
  get('/v1/models', (_req, res) => void res.json(listModels(context.catalog, callerOf(res).grant)));
  get(
    '/v1/models/*name',
    (req, res) => void res.json(oneModel(context.catalog, wildcard(req), callerOf(res).grant)),
  );
  get('/health', health);
  get('/ping', ping);
  get('/load', load(context));
  get('/ready', ready(context));
  get('/version', (_req, res) => void res.json({ version: context.version }));
  get('/metrics', metricsPage(context));
  get('/openapi.json', document(context, gate));
  app.use((req: Request) => {
    throw new ServeError('not_found', `${req.method} ${show(req.path)} is not served here`);
  });
  app.use(errors(context));
  return app;
}

/** Written when it is first asked for: schemas take a while to spell. */
function document({ catalog, settings, version }: Context, { open }: Gate): Handler {
  const keys = Object.keys(settings.keys).length > 0;
  let written: object | null = null;
  return (_req, res) =>
    void res.json((written ??= openapi({ version, limits: catalog.limits, keys, open })));
}

/** A client may name its request, if the name is fit for a header and a log. */
function chosenId(req: Request): string | null {
  const asked = req.headers['x-request-id'];
  return typeof asked === 'string' && /^[\w.:-]{1,128}$/.test(asked) ? asked : null;
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

/** Express knows an error handler by its four parameters. */
const errors =
  ({ log, work }: Context): ErrorRequestHandler =>
  (error: unknown, _req, res, _next) => {
    const failure = knownFailure(error);
    if (failure.code === 'internal_error') log.error({ err: error, request: requestId(res) });
    if (work.draining) res.setHeader('connection', 'close');
    if (res.headersSent) res.destroy();
    else sendFailure(res, failure);
  };
