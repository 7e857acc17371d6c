/** POST /v1/score, in vLLM's words: what a reward makes of texts that were written elsewhere. */

import type { Request, Response } from 'express';
import { ServeError } from '../core/errors.ts';
import type { Score } from '../core/reward.ts';
import { Meter } from '../ops/meter.ts';
import type { Outcome } from '../ops/meter.ts';
import { refuseForbidden } from '../plan/grant.ts';
import type { Grant } from '../plan/grant.ts';
import { parseScore } from '../plan/score.ts';
import type { Lease } from './allowance.ts';
import { jsonBody } from './body.ts';
import type { Context } from './context.ts';
import { callerOf, draining, knownFailure, requestId } from './reply.ts';

const ENDPOINT = '/v1/score';

export const score =
  (context: Context) =>
  async (req: Request, res: Response): Promise<void> => {
    const { work, metrics, log, settings } = context;
    if (work.draining) throw draining();
    const meter = new Meter(metrics, ENDPOINT);
    const running = work.begin();
    const caller = callerOf(res);
    let code: Outcome = 'internal_error';
    let lease: Lease | null = null;
    try {
      lease = caller.begin();
      const body = await jsonBody(req, settings.body_bytes);
      res.json(await answer(body, context, caller.grant, lease));
      code = 'ok';
    } catch (error) {
      ({ code } = knownFailure(error));
      throw error;
    } finally {
      lease?.end(code === 'ok' ? null : 0);
      meter.end(code);
      const who = caller.name === null ? {} : { key: caller.name };
      const request = requestId(res);
      log.info({ request, ...who, endpoint: ENDPOINT, code, ...meter.tally }, 'request');
      work.end(running);
    }
  };

async function answer(
  body: unknown,
  { catalog, inference, ambient }: Context,
  grant: Grant,
  lease: Lease,
): Promise<object> {
  const { judging, model, named, tokens } = parseScore(body, catalog);
  refuseForbidden(grant, named);
  lease.charge(tokens);
  const id = ambient.id('score-');
  const scores = await inference.judge({ id, ...judging });
  if (!scores.some(({ value }) => Number.isFinite(value)))
    throw new ServeError(
      'reward_failed',
      `no score could be given to any of ${scores.length} texts`,
    );
  return {
    id,
    object: 'list',
    created: ambient.seconds(),
    model,
    data: scores.map(worded),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** null: this text could not be judged, though others could. */
const worded = ({ value, parts }: Score, index: number) => ({
  index,
  object: 'score',
  score: Number.isFinite(value) ? value : null,
  parts,
});
