/**
 * A judge that writes before it is asked. It writes in rows of its own, which nobody who waits for its scores can hold:
 * however many rows the searches have taken, what they wait for is written.
 */

import { setMaxListeners } from 'node:events';
import type { Engine, Opening } from '../core/engine.ts';
import type { Vocabulary } from '../core/model.ts';
import type { Critique } from '../core/reward.ts';
import { exactly } from '../core/strategy.ts';
import type { Token } from '../core/tree.ts';

export interface Writer {
  /**
   * For each prompt `n` critiques, their end tokens left out; null where prompt and critique are longer than a row. What is
   * written depends on the prompt and `how` alone.
   * @param signal once it aborts nothing more is written: it rejects with the signal's reason
   */
  write(
    prompts: readonly (readonly Token[])[],
    how: Critique,
    signal?: AbortSignal,
  ): Promise<readonly (readonly (readonly Token[])[] | null)[]>;
}

interface WriterOptions {
  readonly engine: Engine;
  /** Its only model. */
  readonly model: string;
  readonly vocabulary: Vocabulary;
  /** KV rows of the engine, and the tokens of each. */
  readonly rows: number;
  readonly length: number;
}

/** Each call waits for room with no more prompts than there could be room for: a large batch does not fill the queue. */
export function writer(options: WriterOptions): Writer {
  return {
    async write(prompts, how, signal) {
      const failed = new AbortController();
      const either = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
      setMaxListeners(0, either); // each prompt listens
      const written: (readonly (readonly Token[])[] | null)[] = [];
      const left = prompts.entries();
      const work = async (): Promise<void> => {
        for (const [i, prompt] of left) written[i] = await critiques(options, prompt, how, either);
      };
      try {
        await Promise.all(
          Array.from({ length: Math.max(1, Math.floor(options.rows / how.n)) }, work),
        );
      } catch (error) {
        failed.abort(error); // the others would write for nobody
        throw error;
      }
      return written;
    },
  };
}

async function critiques(
  { engine, model, vocabulary, length }: WriterOptions,
  prompt: readonly Token[],
  how: Critique,
  signal: AbortSignal,
): Promise<readonly (readonly Token[])[] | null> {
  if (prompt.length + how.tokens > length) return null;
  await using session = await engine.open(openingOf(model, prompt, how), signal);
  const drafts = session.fork(session.root, how.n);
  await session.extend(drafts, { tokens: how.tokens });
  return drafts.map(({ tokens }) =>
    vocabulary.ends.has(tokens.at(-1)!) ? tokens.slice(0, -1) : [...tokens],
  );
}

const openingOf = (
  model: string,
  prompt: readonly Token[],
  { tokens, n, temperature, seed }: Critique,
): Opening => ({
  lanes: [{ model, prompt }],
  guidance: { uses: [], combine: 'sum', maxKl: null, plausibility: 0 },
  steering: [],
  bend: null,
  rule: null,
  sampling: {
    temperature,
    topK: 0,
    topP: 1,
    minP: 0,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: [],
  },
  maxTokens: tokens,
  extra: 0,
  budget: Infinity,
  stops: [],
  peak: exactly(n),
  seed: BigInt(seed),
  choice: 0,
  record: { top: 0, guides: false, states: false },
  salt: '',
});
