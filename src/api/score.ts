/** POST /v1/score, in vLLM's words: what a reward makes of texts that were written elsewhere. */

import type { Request, Response } from 'express';
import { ServeError } from '../core/errors.ts';
import type { Score } from '../core/reward.ts';
import { Meter } from '../ops/meter.ts';
import type { Outcome } from '../ops/meter.ts';
import { parseScore } from '../plan/score.ts';
import { jsonBody } from './body.ts';
import type { Context } from './context.ts';
import { draining, knownFailure, requestId } from './reply.ts';

const ENDPOINT = '/v1/score';

export const score =
  (context: Context) =>
  async (req: Request, res: Response): Promise<void> => {
    const { work, metrics, log, settings } = context;
    if (work.draining) throw draining();
    const meter = new Meter(metrics, ENDPOINT);
    const running = work.begin();
    let code: Outcome = 'internal_error';
    try {
      res.json(await answer(await jsonBody(req, settings.body_bytes), context));
      code = 'ok';
    } catch (error) {
      ({ code } = knownFailure(error));
      throw error;
    } finally {
      meter.end(code);
      log.info({ request: requestId(res), endpoint: ENDPOINT, code, ...meter.tally }, 'request');
      work.end(running);
    }
  };

async function answer(body: unknown, { catalog, inference, ambient }: Context): Promise<object> {
  const { judging, model, tokens } = parseScore(body, catalog);
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
