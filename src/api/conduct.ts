/** What every request that is counted passes through, over HTTP or WebSocket: its caller's allowance, the drain, the meter and the log line. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Request, Response } from 'express';
import { Meter } from '../ops/meter.ts';
import type { Outcome } from '../ops/meter.ts';
import type { Caller, Lease } from './callers/allowance.ts';
import type { Context } from './context.ts';
import type { Ending } from './relay.ts';
import { callerOf, draining, knownFailure, requestId } from './reply.ts';

/** A request in flight. */
export interface Task {
  readonly meter: Meter;
  readonly signal: AbortSignal;
  /** The client has left, or has cancelled. */
  abort(): void;
  /**
   * Before anything is worked on. In the end, what the meter knows to have been spent is charged, and nothing else.
   * @param tokens the most that it may use
   * @throws ServeError where the server stops, or the caller has not so many left
   */
  begin(tokens: number): void;
  /** It has used so many tokens, whatever comes now: what its caller has left is known. */
  spend(tokens: number): void;
  /** Lets its owner cancel it by this id while it runs. */
  name(id: string): void;
}

/** A request as it came. */
interface Received {
  /** Its path, and its name in metrics. */
  readonly endpoint: string;
  /** Its name in the log. */
  readonly request: string;
  readonly caller: Caller;
  /** Of the request, or of the upgrade of its socket. */
  readonly headers: IncomingHttpHeaders;
}

/** Runs `work`, which answers; what it throws is counted, logged and thrown on. */
export async function conduct(
  context: Context,
  { endpoint, request, caller, headers }: Received,
  work: (task: Task) => Promise<Ending>,
): Promise<void> {
  const trace = context.tracing.begin(endpoint, request, headers);
  const meter = new Meter(context.metrics, endpoint, trace);
  const controller = context.work.begin();
  let code: Outcome = 'internal_error';
  let lease: Lease | null = null;
  let over: () => void = () => undefined;
  try {
    const held = (lease = caller.begin());
    const ending = await work({
      meter,
      signal: controller.signal,
      abort: () => controller.abort(),
      begin(tokens) {
        if (context.work.draining) throw draining();
        held.charge(tokens);
      },
      spend(tokens) {
        meter.ended(tokens);
        held.settle(tokens);
      },
      name: (id) => (over = context.work.name(controller, id, caller.grant.salt)),
    });
    code = ending.kind === 'failed' ? ending.failure.code : ending.kind;
  } catch (error) {
    ({ code } = knownFailure(error));
    throw error;
  } finally {
    lease?.settle(meter.spent ?? 0);
    lease?.end();
    meter.end(code);
    const who = caller.name === null ? {} : { key: caller.name };
    context.log.info({ request, ...who, endpoint, code, ...meter.tally }, 'request');
    over();
    context.work.end(controller);
  }
}

/** The handler of an HTTP endpoint. A client that leaves aborts its request. */
export const conducted =
  (
    context: Context,
    endpoint: string,
    work: (task: Task, req: Request, res: Response) => Promise<Ending>,
  ) =>
  (req: Request, res: Response): Promise<void> => {
    const [request, caller] = [requestId(res), callerOf(res)];
    return conduct(context, { endpoint, request, caller, headers: req.headers }, (task) => {
      res.on('close', () => {
        if (!res.writableFinished) task.abort();
      });
      return work(task, req, res);
    });
  };
