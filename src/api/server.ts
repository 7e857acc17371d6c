/** The HTTP server: limits, who is let in, errors to JSON. No middleware stands between a route and its handler. */

import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import express from 'express';
import type { ErrorRequestHandler, Express, NextFunction, Request, Response } from 'express';
import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';
import { accessOf } from './callers/access.ts';
import { chat } from './chat.ts';
import { completions } from './completions.ts';
import type { Context } from './context.ts';
import { refuseMalformed } from './malformed.ts';
import { knownFailure, requestId, sendFailure } from './reply.ts';
import { responses } from './responses/responses.ts';
import { ResponseStore } from './responses/store.ts';
import { addRoutes } from './routes.ts';
import type { Parts } from './routes.ts';
import { Sockets } from './sockets/sockets.ts';

/** Longer than the clients' and proxies' own, so that they close first. */
const KEEP_ALIVE_MS = 75_000;

export interface ApiServer {
  readonly http: Server;
  /** Finishes what runs, within `ms`, then closes every connection. */
  drain(ms: number): Promise<void>;
}

export function createApi(context: Context): ApiServer {
  const { settings, metrics, planner } = context;
  const access = accessOf(context);
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
    application(context, { access, surfaces, store }),
  );
  http.maxConnections = settings.connections;
  const sockets = new Sockets(context, surfaces, access);
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

function application(context: Context, parts: Parts): Express {
  const { access } = parts;
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.use((req: Request, res: Response, next: NextFunction) => {
    res.setHeader('x-request-id', chosenId(req) ?? context.ambient.id('req_'));
    if (access.origins.answer(req, res)) return;
    if (!access.open.has(req.path)) res.locals['caller'] = access.keys.callerOf(req);
    next();
  });
  addRoutes(app, context, parts);
  app.use((req: Request) => {
    throw new ServeError(
      'not_found',
      `${req.method} ${show(req.path)} is not served here; /openapi.json names what is`,
    );
  });
  app.use(errors(context));
  return app;
}

/** A client may name its request, if the name is fit for a header and a log. */
function chosenId(req: Request): string | null {
  const asked = req.headers['x-request-id'];
  return typeof asked === 'string' && /^[\w.:-]{1,128}$/.test(asked) ? asked : null;
}

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
