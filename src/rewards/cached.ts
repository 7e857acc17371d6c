/** A reward that remembers: an answer that was judged before, under the same prompt, costs nothing. Bounded in bytes. */

import { LRUCache } from 'lru-cache';
import type { Candidate, Reward, Score } from '../core/reward.ts';
import type { Token } from '../core/tree.ts';

export type ScoreCache = LRUCache<string, Score>;

/** What an entry takes beside its key, about. */
const ENTRY_BYTES = 200;

/** One cache may serve all rewards. @param bytes 0 keeps nothing */
export const scoreCache = (bytes: number): ScoreCache =>
  new LRUCache({
    maxSize: Math.max(1, bytes),
    sizeCalculation: (_score, key) => 2 * key.length + ENTRY_BYTES,
  });

/** What a reward looks at beside the answer: two that agree in `key` say the same of candidates with these readings. */
interface Known {
  readonly key: string;
  /** Keys of the prompt's readings. */
  readonly readings: readonly string[];
}

/** A model that reads the prompt under its own name, and then the answer's text. */
const byText = ({ name }: Reward): Known => ({ key: name, readings: [name] });

/** @param reward judges each candidate by itself, so that a score stands for good */
export function cached(reward: Reward, cache: ScoreCache, known = byText(reward)): Reward {
  const { name, reads } = reward;
  const spelled = new WeakMap<readonly Token[], string>();
  function promptOf(reading: readonly Token[]): string {
    const prompt = spelled.get(reading) ?? reading.join();
    spelled.set(reading, prompt);
    return prompt;
  }
  function keyOf({ readings, text, complete }: Candidate): string {
    const prompts = known.readings.map((key) => promptOf(readings[key]!));
    return [known.key, ...prompts, complete, text].join('\n');
  }
  return {
    name,
    reads,
    async score(batch, signal) {
      const keys = batch.map(keyOf);
      const before = new Map<string, Score>();
      const missing = new Map<string, Candidate>();
      keys.forEach((key, i) => {
        const score = cache.get(key);
        if (score === undefined) missing.set(key, batch[i]!);
        else before.set(key, score);
      });
      const found = missing.size === 0 ? [] : await reward.score([...missing.values()], signal);
      const fresh = new Map([...missing.keys()].map((key, i) => [key, found[i]!]));
      for (const [key, { value, parts }] of fresh)
        if (Number.isFinite(value)) cache.set(key, { value, parts });
      const counted = new Set<string>();
      return keys.map((key) => {
        const { value, parts, tokens } = before.get(key) ?? fresh.get(key)!;
        const read = counted.has(key) ? undefined : tokens; // equal candidates are read once
        counted.add(key);
        return read === undefined ? { value, parts } : { value, parts, tokens: read };
      });
    },
  };
}
