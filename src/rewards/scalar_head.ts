/**
 * R(x, y) of a sequence model with a scalar head: it reads the prompt in its own words (tokenizer, chat template or
 * pair of texts), the answer and what closes it: the end token of a complete one, the mark of a pair's end.
 */

import type { ScoreModel } from '../core/model.ts';
import type { Candidate, Reward, Score } from '../core/reward.ts';
import type { Codec } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import { answerTokens } from './reader.ts';
import type { Turns } from './turns.ts';

interface ScalarHead {
  readonly model: ScoreModel;
  /** The model's own. */
  readonly codec: Codec;
  readonly reads: Reward['reads'];
  /** Tokens that are read in one run; a longer sequence is read in pieces, alone and whole by a model that keeps nothing. */
  readonly runTokens: number;
  readonly turns: Turns;
}

export function scalarHead({ model, codec, reads, runTokens, turns }: ScalarHead): Reward {
  const { name } = model;
  const read = (candidate: Candidate): Token[] => [
    ...candidate.readings[name]!,
    ...answerTokens({ codec }, candidate),
  ];
  return {
    name,
    reads,
    async score(batch, signal) {
      const rows = batch.map(read);
      const values = rows.map(() => NaN); // what is longer than the context is not judged
      const fit = [...rows.keys()].filter(
        (i) => rows[i]!.length > 0 && rows[i]!.length <= model.context,
      );
      let pieces = 0;
      while (fit.length > 0)
        await turns.run(() => {
          signal?.throwIfAborted();
          const next = rows[fit[0]!]!;
          const most = Math.ceil(next.length / runTokens); // what was read may be given up for others
          if (model.missing(next) > runTokens && pieces++ < most && model.readOn(next, runTokens))
            return;
          pieces = 0;
          const run = taken(fit, (i) => model.missing(rows[i]!), runTokens);
          const scores = model.score(run.map((i) => rows[i]!));
          run.forEach((i, at) => (values[i] = scores[at]!));
        });
      return values.map((value, i): Score => ({
        value,
        parts: {},
        tokens: rows[i]!.length,
      }));
    },
  };
}

/** Takes from the front of `queue` as many as one run's tokens allow; at least one. */
function taken(queue: number[], cost: (i: number) => number, most: number): number[] {
  let [n, spent] = [0, 0];
  while (n < queue.length && (n === 0 || spent + cost(queue[n]!) <= most))
    spent += cost(queue[n++]!);
  return queue.splice(0, n);
}
