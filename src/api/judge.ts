/** What every endpoint that judges texts passes through: the drain gate, the body, the rewards, the meter and the log line. */

import type { Request, Response } from 'express';
import { ServeError } from '../core/errors.ts';
import { abstains } from '../core/reward.ts';
import type { Judged } from '../core/reward.ts';
import { Meter } from '../ops/meter.ts';
import type { Outcome } from '../ops/meter.ts';
import type { Catalog } from '../plan/catalog.ts';
import { refuseForbidden } from '../plan/grant.ts';
import type { Scoring } from '../plan/score.ts';
import { failedRewards } from './accounts.ts';
import type { Lease } from './allowance.ts';
import { jsonBody } from './body.ts';
import type { Context } from './context.ts';
import { callerOf, draining, knownFailure, requestId } from './reply.ts';

/** What such an endpoint says in its own words. */
export interface JudgeSurface<S extends Scoring> {
  /** Its path, and its name in metrics. */
  readonly endpoint: string;
  readonly idPrefix: string;
  parse(raw: unknown, catalog: Catalog): S;
  /** Members of the response beside id, model and usage. */
  answer(scores: Judged['scores'], asked: S, seconds: number): object;
}

export const judge =
  <S extends Scoring>(surface: JudgeSurface<S>, context: Context) =>
  async (req: Request, res: Response): Promise<void> => {
    const { work, metrics, tracing, log, settings } = context;
    if (work.draining) throw draining();
    const { endpoint } = surface;
    const request = requestId(res);
    const meter = new Meter(metrics, endpoint, tracing.begin(endpoint, request, req.headers));
    const running = work.begin();
    const caller = callerOf(res);
    let code: Outcome = 'internal_error';
    let lease: Lease | null = null;
    try {
      lease = caller.begin();
      const asked = surface.parse(await jsonBody(req, settings.body_bytes), context.catalog);
      refuseForbidden(caller.grant, asked.named);
      lease.charge(asked.tokens);
      res.json(await answer(surface, asked, context, meter));
      code = 'ok';
    } catch (error) {
      ({ code } = knownFailure(error));
      throw error;
    } finally {
      lease?.end(code === 'ok' ? null : 0);
      meter.end(code);
      const who = caller.name === null ? {} : { key: caller.name };
      log.info({ request, ...who, endpoint, code, ...meter.tally }, 'request');
      work.end(running);
    }
  };

async function answer<S extends Scoring>(
  surface: JudgeSurface<S>,
  asked: S,
  { inference, ambient }: Context,
  meter: Meter,
): Promise<object> {
  const { judging, model, tokens } = asked;
  const id = ambient.id(surface.idPrefix);
  const { scores, evaluations } = await inference.judge({ id, ...judging });
  meter.judged(scores, evaluations);
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
