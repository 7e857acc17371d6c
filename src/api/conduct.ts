/** What every request that generates passes through, over HTTP or WebSocket: the drain gate, the plan, the meter and the log line. */

import type { IncomingHttpHeaders } from 'node:http';
import { Meter } from '../ops/meter.ts';
import type { Measured, Outcome } from '../ops/meter.ts';
import type { Grant } from '../plan/grant.ts';
import type { Admitted } from '../plan/request.ts';
import type { Caller, Lease } from './allowance.ts';
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

/** A request as it came. */
export interface Received {
  readonly surface: Surface;
  /** Its name in the log. */
  readonly request: string;
  readonly caller: Caller;
  /** Of the request, or of the upgrade of its socket. */
  readonly headers: IncomingHttpHeaders;
}

/** Runs `work`, which words the answer; what it throws is counted, logged and thrown on. */
export async function conduct(
  context: Context,
  { surface, request, caller, headers }: Received,
  work: (task: Task) => Promise<Ending>,
): Promise<void> {
  const trace = context.tracing.begin(surface.endpoint, request, headers);
  const meter = new Meter(context.metrics, surface.endpoint, trace);
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
      admit(body, { socket }) {
        if (context.work.draining) throw draining();
        if (context.settings.log_prompts) context.log.info({ request, body }, 'prompt');
        const worded = admitted(context, surface, caller.grant, body, socket);
        held.charge(worded.cost);
        meter.admitted(measured(worded));
        const { id, stream } = worded.answer;
        if (stream) over = context.work.name(controller, id, caller.grant.salt);
        return worded;
      },
    });
    code = ending.kind === 'failed' ? ending.failure.code : ending.kind;
  } catch (error) {
    ({ code } = knownFailure(error));
    throw error;
  } finally {
    const known = code === 'ok' || code === 'cancelled';
    lease?.end(known ? meter.spent : 0); // what fails is not charged
    meter.end(code);
    const who = caller.name === null ? {} : { key: caller.name };
    const { endpoint } = surface;
    context.log.info({ request, ...who, endpoint, code, ...meter.tally }, 'request');
    over();
    context.work.end(controller);
  }
}

function admitted(
  { ambient, planner }: Context,
  surface: Surface,
  grant: Grant,
  body: unknown,
  socket: boolean,
): Worded {
  const [id, seed] = [ambient.id(surface.idPrefix), ambient.seed()];
  return surface.admit(planner, body, { id, seed, grant, socket });
}

const measured = ({ plan, answer }: Admitted): Measured => ({
  model: plan.prompts[0]!.lanes[0]!.model,
  strategy: answer.strategy,
  guides: plan.opening.guidance.uses.length,
  promptTokens: answer.promptTokens.reduce((sum, tokens) => sum + tokens, 0),
  stream: answer.stream,
});
