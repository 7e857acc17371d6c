/** The engine in this process, fed by the real planner and run: what a server could do without HTTP. */

import { buildCatalog } from '../../src/catalog.ts';
import { loadEngines } from '../../src/load.ts';
import { readConfig } from '../../src/ops/config.ts';
import { ANYTHING } from '../../src/plan/grant.ts';
import { planner } from '../../src/plan/parse.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { loadCodec } from '../../src/runtime/tokenizer.ts';
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

/** A server's inside, loaded from a config file. */
export function loadLocal(configFile: string | null) {
  const config = readConfig(configFile);
  const catalog = buildCatalog(config, loadCodec);
  const { engine, ort, decoders } = loadEngines(config, () => undefined);
  const plans = planner(catalog);
  let id = 0;

  /** As the HTTP process would send it. */
  function planOf(body: Record<string, unknown>, seed: number): Plan {
    const ambient = { id: `${id++}`, seed, grant: ANYTHING, socket: false };
    return plans.completion({ ...body, stream: true }, ambient).plan;
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
        runPlan(engine, ready[i % PLANS]!, (event) => {
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

  return { config, engine, ort, decoders, planOf, measure };
}
