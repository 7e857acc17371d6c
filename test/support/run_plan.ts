/** Runs a plan on an engine in this process, as the inference process would; throws what the request failed with. */

import type { Engine } from '../../src/core/engine.ts';
import type { StreamEvent } from '../../src/core/events.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { Gate } from '../../src/run/gate.ts';
import { run, type Running } from '../../src/run/run.ts';

/** @param rewardOf who judges; left out, the plan may ask for no reward */
export async function runPlan(
  engine: Engine,
  plan: Plan,
  onEvent: (event: StreamEvent) => void,
  rewardOf: Running['rewardOf'] = nobody,
): Promise<void> {
  let failure: string | null = null;
  await run(plan, {
    engine,
    rewardOf,
    gate: new Gate(),
    after: () => () => undefined,
    signal: new AbortController().signal,
    emit(event) {
      if (event.kind === 'failed') failure = event.failure.message;
      else onEvent(event);
    },
    onBug: (error) => console.error(error),
  });
  if (failure !== null) throw new Error(failure);
}

const nobody: Running['rewardOf'] = () => {
  throw new Error('nothing here is judged');
};
