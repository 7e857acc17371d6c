/** What makes a reward a member of one request. */

import type { Candidate, Evaluation, Reward, Score } from '../core/reward.ts';
import { SlowReward } from './timed.ts';

/** Who is told of each call of a member, the clock that it is timed by (seconds), and what ends the wait for it. */
interface Watch {
  readonly now: () => number;
  readonly told: (evaluation: Evaluation) => void;
  readonly signal?: AbortSignal | undefined;
}

/** The reward with its parts under the member's id. A batch that several combinators ask about is judged once. */
export function memberOf(id: string, source: Reward, { now, told, signal }: Watch): Reward {
  const asked = new WeakMap<readonly Candidate[], Promise<readonly Score[]>>();
  async function judged(batch: readonly Candidate[]): Promise<readonly Score[]> {
    const began = now();
    let outcome: Evaluation['outcome'] = 'failed';
    try {
      const scores = await source.score(batch, signal);
      if (scores.some(({ value }) => Number.isFinite(value))) outcome = 'ok';
      return scores.map((score) => ({
        ...score,
        parts: { [id]: score.value, ...under(id, score.parts) },
      }));
    } catch (error) {
      if (error instanceof SlowReward) outcome = 'slow';
      throw error;
    } finally {
      told({ member: id, reward: source.name, seconds: now() - began, outcome });
    }
  }
  return {
    name: id,
    reads: source.reads,
    async score(batch) {
      const before = asked.get(batch);
      if (before !== undefined)
        return (await before).map(({ tokens: _counted, ...score }) => score);
      const scores = judged(batch);
      asked.set(batch, scores);
      return scores;
    },
  };
}

const under = (id: string, parts: Score['parts']): Score['parts'] =>
  Object.fromEntries(Object.entries(parts).map(([key, value]) => [`${id}.${key}`, value]));
