/** The HTTP handler of an endpoint that generates, streaming or not. A client that leaves aborts its request. */

import type { Request, Response } from 'express';
import { toFailure } from '../core/errors.ts';
import type { ChoiceReport } from '../core/events.ts';
import type { Meter } from '../ops/meter.ts';
import { jsonBody } from './body.ts';
import { CANCELLED } from './context.ts';
import type { Context } from './context.ts';
import { conduct } from './conduct.ts';
import { CUT_OFF, relay } from './relay.ts';
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

export const generate =
  (surface: Surface, context: Context) =>
  (req: Request, res: Response): Promise<void> => {
    const caller = callerOf(res);
    const received = { surface, request: requestId(res), caller, headers: req.headers };
    return conduct(context, received, async (task) => {
      res.on('close', () => {
        if (!res.writableFinished) task.abort();
      });
      const body = await jsonBody(req, context.settings.body_bytes);
      const worded = task.admit(body, { socket: false });
      const exchange = { res, surface, context, worded, meter: task.meter, signal: task.signal };
      res.setHeaders(new Map(Object.entries(caller.headers)));
      return worded.answer.stream ? streamed(exchange) : whole(exchange);
    });
  };

async function streamed(exchange: Exchange): Promise<Ending> {
  const { res, surface, context, worded, meter, signal } = exchange;
  const { settings, metrics, ambient, inference } = context;
  const slow = (): void => metrics.count('ws_slow_closed_total');
  const sink = new SseSink(res, surface.sse, settings.slow_reader_ms, slow);
  const writer = worded.writer(ambient.seconds());
  const events = inference.submit(worded.plan, signal);
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

async function whole(exchange: Exchange): Promise<Ending> {
  const { res, context, worded, meter, signal } = exchange;
  const collector = new Collector();
  const reports = new Map<number, ChoiceReport>();
  for await (const event of context.inference.submit(worded.plan, signal)) {
    if (event.kind === 'commit') {
      meter.grew(event.choice, event.tokens);
      collector.commit(event);
    } else if (event.kind === 'finish') {
      meter.finished(event.report);
      reports.set(event.choice, event.report);
      collector.finish(event);
    } else if (event.kind === 'failed') {
      sendFailure(res, event.failure);
      return event;
    } else if (event.kind === 'end') {
      meter.ended(event.spent);
      if (event.cancelled) {
        const ending = toldTo(res, signal, { kind: 'cancelled' });
        if (ending.kind === 'failed') sendFailure(res, ending.failure);
        return ending;
      }
      const created = context.ambient.seconds();
      res.json(worded.whole(collector.choices, created, reports));
      return { kind: 'ok' };
    }
  }
  sendFailure(res, CUT_OFF);
  return { kind: 'failed', failure: CUT_OFF };
}
