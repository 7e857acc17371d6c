/** A reward whose calls of one event-loop turn, from all requests, are one batch. A batch that fails is tried call by call: one caller fails no other. */

import type { Candidate, Reward, Score } from '../core/reward.ts';
import { allOf, isWanted } from './wanted.ts';

interface Call {
  readonly batch: readonly Candidate[];
  readonly signal: AbortSignal | undefined;
  readonly resolve: (scores: readonly Score[]) => void;
  readonly reject: (error: unknown) => void;
}

/** @param reward judges each candidate by itself, whatever else is in the batch */
export function batched(reward: Reward): Reward {
  let waiting: Call[] = [];

  async function flush(): Promise<void> {
    const calls = waiting.filter(isWanted);
    waiting = [];
    if (calls.length === 0) return;
    const candidates = calls.flatMap(({ batch }) => batch);
    try {
      const scores = await reward.score(candidates, allOf(calls));
      let at = 0;
      for (const { batch, resolve } of calls) resolve(scores.slice(at, (at += batch.length)));
    } catch (error) {
      if (calls.length === 1) return calls[0]!.reject(error);
      for (const { batch, signal, resolve, reject } of calls)
        void reward.score(batch, signal).then(resolve, reject); // reject takes its errors
    }
  }

  return {
    name: reward.name,
    reads: reward.reads,
    score: (batch, signal) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(() => void flush()); // flush does not reject
        waiting.push({ batch, signal, resolve, reject });
      }),
  };
}
