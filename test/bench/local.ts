/** The engine in this process, fed by the real planner and run: what a server could do without HTTP. */

import { availableParallelism } from 'node:os';
import { buildCatalog } from '../../src/catalog.ts';
import { loadEngines, loadRewards } from '../../src/load.ts';
import { readConfig } from '../../src/ops/config.ts';
import type { StreamEvent } from '../../src/core/events.ts';
import { ANYTHING } from '../../src/plan/grant.ts';
import { planner } from '../../src/plan/parse.ts';
import { parseScore } from '../../src/plan/score.ts';
import type { Scoring } from '../../src/plan/score.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { rewardOf } from '../../src/rewards/compose.ts';
import type { Running } from '../../src/run/run.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { runPlan } from '../support/run_plan.ts';
import { closedLoop, type Figures } from './closed_loop.ts';

export interface Window {
  readonly warmMs: number;
  readonly windowMs: number;
}

export interface LocalFigures extends Figures {
  /** Share of the window's wall time outside ONNX Runtime. */
  readonly outside: number;
  readonly iterationMs: number;
}

/** Planning is the HTTP process's work: plans are made before the clock runs. */
const PLANS = 400;
const PATIENCE_MS = 3_600_000;

/** A server's inside, loaded from a config file. */
export function loadLocal(configFile: string) {
  const given = readConfig(configFile);
  // No HTTP process wants a core here, and nobody is kept waiting by a reward that is late.
  const patient = Object.entries(given.models).map(([name, model]) => [
    name,
    { ...model, timeout_ms: PATIENCE_MS },
  ]);
  const models = Object.fromEntries(patient) as typeof given.models;
  const config = { ...given, models, engine: { ...given.engine, threads: availableParallelism() } };
  const catalog = buildCatalog(config, loadCodec);
  const decoding = loadEngines(config, () => undefined);
  const { engine, ort } = decoding;
  const rewards = loadRewards(config, decoding);
  const judgeOf: Running['rewardOf'] = (asked, told, signal) =>
    rewardOf(asked, rewards, told, signal);
  const plans = planner(catalog);
  let id = 0;

  /** As the HTTP process would send it. */
  function planOf(body: Record<string, unknown>, seed: number): Plan {
    const ambient = { id: `${id++}`, seed, grant: ANYTHING, socket: false, request: 'req_1' };
    return plans.completion({ ...body, stream: true }, ambient).plan;
  }

  const run = (plan: Plan, onEvent: (event: StreamEvent) => void): Promise<void> =>
    runPlan(engine, plan, onEvent, judgeOf);

  /** A body of `/v1/score`, as the HTTP process would send it. */
  const judgingOf = (model: string, documents: readonly string[]): Scoring['judging'] =>
    parseScore({ model, queries: '', documents }, catalog).judging;

  /** Scores texts as the inference process does; returns the tokens that were read. */
  async function judge({ reward, candidates }: Scoring['judging']): Promise<number> {
    const scores = await rewardOf(reward, rewards, () => undefined).score(candidates);
    return scores.reduce((sum, { tokens = 0 }) => sum + tokens, 0);
  }

  async function measure(
    streams: number,
    window: Window,
    bodyOf: (i: number) => Record<string, unknown>,
  ): Promise<LocalFigures> {
    const ready = Array.from({ length: PLANS }, (_, i) => planOf(bodyOf(i), i));
    const before = { native: 0, wall: 0, iterations: 0 };
    let [outside, iterationMs] = [NaN, NaN];
    const figures = await closedLoop(
      streams,
      window,
      (request, i) =>
        run(ready[i % PLANS]!, (event) => {
          if (event.kind === 'commit') request.arrived(event.tokens);
        }),
      (open) => {
        const now = {
          native: ort.seconds,
          wall: performance.now() / 1000,
          iterations: engine.stats.iterations,
        };
        if (open) return void Object.assign(before, now);
        const wall = now.wall - before.wall;
        outside = 1 - (now.native - before.native) / wall;
        iterationMs = (1000 * wall) / (now.iterations - before.iterations);
      },
    );
    return { ...figures, outside, iterationMs };
  }

  return { config, engine, rewards, planOf, measure, run, judgingOf, judge };
}
