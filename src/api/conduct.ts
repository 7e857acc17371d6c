/** What every request that generates passes through, over HTTP or WebSocket: the drain gate, the plan, the meter and the log line. */

import { Meter } from '../ops/meter.ts';
import type { Outcome } from '../ops/meter.ts';
import type { Context } from './context.ts';
import type { Ending } from './relay.ts';
import { draining, knownFailure } from './reply.ts';
import type { Surface, Worded } from './surface.ts';

/** A request in flight. */
export interface Task {
  readonly meter: Meter;
  readonly signal: AbortSignal;
  /** The client has left, or has cancelled. */
  abort(): void;
  /** @throws ServeError if the request is not valid */
  admit(body: unknown, transport: { readonly socket: boolean }): Worded;
}

/** Runs `work`, which words the answer; what it throws is counted, logged and thrown on. */
export async function conduct(
  context: Context,
  surface: Surface,
  request: string,
  work: (task: Task) => Promise<Ending>,
): Promise<void> {
  const meter = new Meter(context.metrics, surface.endpoint);
  const controller = context.work.begin();
  let code: Outcome = 'internal_error';
  let over: () => void = () => undefined;
  try {
    const ending = await work({
      meter,
      signal: controller.signal,
      abort: () => controller.abort(),
      admit: (body, { socket }) => {
        const worded = admitted(context, surface, meter, body, socket);
        const { id, stream } = worded.answer;
        if (stream) over = context.work.name(controller, id, worded.plan.opening.salt);
        return worded;
      },
    });
    code = ending.kind === 'failed' ? ending.failure.code : ending.kind;
  } catch (error) {
    ({ code } = knownFailure(error));
    throw error;
  } finally {
    meter.end(code);
    context.log.info({ request, endpoint: surface.endpoint, code, ...meter.tally }, 'request');
    over();
    context.work.end(controller);
  }
}

function admitted(
  { work, ambient, planner }: Context,
  surface: Surface,
  meter: Meter,
  body: unknown,
  socket: boolean,
): Worded {
  if (work.draining) throw draining();
  const request = surface.admit(planner, body, {
    id: ambient.id(surface.idPrefix),
    seed: ambient.seed(),
    salt: '',
    socket,
  });
  const { plan, answer } = request;
  meter.admitted({
    model: plan.prompts[0]!.lanes[0]!.model,
    strategy: answer.strategy,
    guides: plan.opening.guidance.uses.length,
    promptTokens: answer.promptTokens.reduce((sum, tokens) => sum + tokens, 0),
    stream: answer.stream,
  });
  return request;
}
