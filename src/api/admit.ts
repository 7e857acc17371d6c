/** A body becomes a request that generates: valid, charged, and known by its id. */

import { sum } from '../core/math.ts';
import type { Measured } from '../ops/meter.ts';
import type { Planned } from '../plan/request.ts';
import type { Caller } from './callers/allowance.ts';
import type { Task } from './conduct.ts';
import type { Context } from './context.ts';
import type { Surface, Worded } from './surface.ts';

/** A body as it came. */
interface Asked {
  readonly surface: Surface;
  /** The request's name in the log. */
  readonly request: string;
  readonly caller: Caller;
  readonly body: unknown;
  readonly socket: boolean;
}

/** @throws ServeError if the request is not valid, or its caller may not begin it now */
export function admit(
  { settings, log, ambient, planner }: Context,
  task: Task,
  { surface, request, caller: { grant }, body, socket }: Asked,
): Worded {
  if (settings.log_prompts) log.info({ request, body }, 'prompt');
  const [id, seed] = [ambient.id(surface.idPrefix), ambient.seed()];
  const worded = surface.plan(planner, body, { id, request, seed, grant, socket });
  task.begin(worded.cost);
  task.meter.admitted(measured(worded));
  if (worded.answer.stream) task.name(worded.answer.id);
  return worded;
}

const measured = ({ plan, answer }: Planned): Measured => ({
  model: plan.prompts[0]!.lanes[0]!.model,
  strategy: answer.strategy,
  guides: plan.opening.guidance.uses.length,
  vectors: plan.opening.steering.length,
  promptTokens: sum(answer.promptTokens),
  stream: answer.stream,
});
