/** The HTTP handler of an endpoint that generates, streaming or not. */

import type { Request, Response } from 'express';
import { toFailure } from '../core/errors.ts';
import type { Meter } from '../ops/meter.ts';
import { admit } from './admit.ts';
import { jsonBody } from './body.ts';
import { conducted } from './conduct.ts';
import { CANCELLED } from './context.ts';
import type { Context } from './context.ts';
import { DISCARDED, relay } from './relay.ts';
import type { Ending } from './relay.ts';
import { callerOf, cutShort, requestId, sendFailure } from './reply.ts';
import { SseSink } from './sse.ts';
import type { Surface, Worded } from './surface.ts';
import { Collector } from './whole.ts';

/** A valid request, and where its answer goes. */
interface Exchange {
  readonly res: Response;
  readonly surface: Surface;
  readonly context: Context;
  readonly worded: Worded;
  readonly meter: Meter;
  readonly signal: AbortSignal;
}

export const generate = (
  surface: Surface,
  context: Context,
): ((req: Request, res: Response) => Promise<void>) =>
  conducted(context, surface.endpoint, async (task, req, res) => {
    const { meter, signal } = task;
    const body = await jsonBody(req, context.settings.body_bytes);
    const [request, caller] = [requestId(res), callerOf(res)];
    const worded = admit(context, task, { surface, request, caller, body, socket: false });
    const exchange = { res, surface, context, worded, meter, signal };
    res.setHeaders(new Map(Object.entries(caller.headers)));
    return worded.answer.stream ? streamed(exchange) : whole(exchange);
  });

async function streamed(exchange: Exchange): Promise<Ending> {
  const { res, surface, context, worded, meter, signal } = exchange;
  const { settings, metrics, ambient, inference } = context;
  const slow = (): void => metrics.count('ws_slow_closed_total');
  const sink = new SseSink(res, surface.sse, settings.slow_reader_ms, slow);
  const writer = worded.writer(ambient.seconds());
  const events = inference.submit(worded.plan, signal);
  meter.handed();
  const ending = toldTo(res, signal, await relay(events, writer, meter, sink));
  if (ending.kind === 'failed' && !sink.begun) sendFailure(res, ending.failure);
  else {
    if (ending.kind === 'failed') sink.write(writer.failed(ending.failure, requestId(res)));
    if (ending.kind === 'cancelled') sink.write(writer.cancelled());
    sink.end();
  }
  return ending;
}

/** A client that is still there, and has not cancelled on another connection, was cut short by the server, since it stops. */
function toldTo(res: Response, { reason }: AbortSignal, ending: Ending): Ending {
  if (ending.kind !== 'cancelled' || res.destroyed || reason === CANCELLED) return ending;
  return { kind: 'failed', failure: toFailure(cutShort()) };
}

async function whole({ res, context, worded, meter, signal }: Exchange): Promise<Ending> {
  const collector = new Collector();
  const events = context.inference.submit(worded.plan, signal);
  meter.handed();
  const ending = toldTo(res, signal, await relay(events, collector, meter, DISCARDED));
  if (ending.kind === 'failed') sendFailure(res, ending.failure);
  if (ending.kind === 'ok')
    meter.writing(() =>
      res.json(worded.whole(collector, context.ambient.seconds(), collector.reports)),
    );
  return ending;
}
