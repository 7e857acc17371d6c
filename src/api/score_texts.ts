/** The HTTP handler of an endpoint that scores texts which were written elsewhere. A client that leaves aborts its request. */

import type { Request, Response } from 'express';
import { ServeError } from '../core/errors.ts';
import { abstains } from '../core/reward.ts';
import type { Judged } from '../core/reward.ts';
import type { Catalog } from '../plan/catalog.ts';
import { refuseForbidden } from '../plan/grant.ts';
import type { Scoring } from '../plan/score.ts';
import { failedRewards } from './accounts.ts';
import { jsonBody } from './body.ts';
import { conducted } from './conduct.ts';
import type { Task } from './conduct.ts';
import type { Context } from './context.ts';
import type { Ending } from './relay.ts';
import { callerOf, cutShort, requestId } from './reply.ts';

/** What such an endpoint says in its own words. */
export interface ScoringSurface<S extends Scoring> {
  /** Its path, and its name in metrics. */
  readonly endpoint: string;
  readonly idPrefix: string;
  parse(raw: unknown, catalog: Catalog): S;
  /** Members of the response beside id, model and usage. */
  answer(scores: Judged['scores'], asked: S, seconds: number): object;
}

/** Texts that are judged or wait to be, of all requests. */
export class Texts {
  readonly #most: number;
  #held = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws ServeError queue_full where there are too many; a request's own bound is for it alone to keep */
  async hold<T>(count: number, work: () => Promise<T>): Promise<T> {
    if (this.#held > 0 && this.#held + count > this.#most)
      throw new ServeError(
        'queue_full',
        `${this.#held} texts are judged or wait, and this request has ${count}; ${this.#most} may be there at a time: try again shortly`,
      );
    this.#held += count;
    try {
      return await work();
    } finally {
      this.#held -= count;
    }
  }
}

export const scoreTexts = <S extends Scoring>(
  surface: ScoringSurface<S>,
  context: Context,
  texts: Texts,
): ((req: Request, res: Response) => Promise<void>) =>
  conducted(context, surface.endpoint, async (task, req, res) => {
    const body = await jsonBody(req, context.settings.body_bytes);
    const asked = surface.parse(body, context.catalog);
    refuseForbidden(callerOf(res).grant, asked.named);
    task.begin(asked.tokens);
    const { candidates } = asked.judging;
    return texts.hold(candidates.length, () => answered(surface, asked, context, { task, res }));
  });

interface Exchange {
  readonly task: Task;
  readonly res: Response;
}

async function answered<S extends Scoring>(
  surface: ScoringSurface<S>,
  asked: S,
  context: Context,
  { task, res }: Exchange,
): Promise<Ending> {
  try {
    const body = await answer(surface, asked, context, { task, res });
    task.meter.writing(() => res.json(body));
    return { kind: 'ok' };
  } catch (error) {
    if (!task.signal.aborted) throw error;
    task.spend(asked.tokens); // what was read by then is not known
    if (res.destroyed) return { kind: 'cancelled' };
    throw cutShort();
  }
}

async function answer<S extends Scoring>(
  surface: ScoringSurface<S>,
  asked: S,
  { inference, ambient }: Context,
  { task, res }: Exchange,
): Promise<object> {
  const { judging, model, tokens } = asked;
  const id = ambient.id(surface.idPrefix);
  const request = requestId(res);
  const judged = inference.judge({ id, request, ...judging }, task.signal);
  task.meter.handed();
  const { scores, evaluations } = await judged;
  task.meter.judged(scores, evaluations);
  task.spend(tokens);
  if (!scores.some(({ value }) => Number.isFinite(value)))
    throw new ServeError(
      'reward_failed',
      `no score could be given to any of ${scores.length} texts`,
    );
  const failed = failedRewards(evaluations);
  const { ensemble } = judging.reward;
  return {
    id,
    model,
    ...surface.answer(scores, asked, ambient.seconds()),
    ...(failed.length > 0 ? { failed_rewards: failed } : {}),
    ...(ensemble !== null && abstains(scores, ensemble) ? { abstained: true } : {}),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}
