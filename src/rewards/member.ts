/** What makes a reward a member of one request. */

import type { Candidate, Reward, Score } from '../core/reward.ts';

/** The reward with its parts under the member's id. A batch that several combinators ask about is judged once. */
export function memberOf(id: string, source: Reward): Reward {
  const asked = new WeakMap<readonly Candidate[], Promise<readonly Score[]>>();
  async function judged(batch: readonly Candidate[]): Promise<readonly Score[]> {
    return (await source.score(batch)).map((score) => ({
      ...score,
      parts: { [id]: score.value, ...under(id, score.parts) },
    }));
  }
  return {
    name: id,
    reads: source.reads,
    async score(batch) {
      const before = asked.get(batch);
      if (before !== undefined) return (await before).map(({ value, parts }) => ({ value, parts })); // its tokens were counted
      const scores = judged(batch);
      asked.set(batch, scores);
      return scores;
    },
  };
}

const under = (id: string, parts: Score['parts']): Score['parts'] =>
  Object.fromEntries(Object.entries(parts).map(([key, value]) => [`${id}.${key}`, value]));
