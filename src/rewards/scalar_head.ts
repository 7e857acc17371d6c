/**
 * R(x, y) of a sequence model with a scalar head: it reads the prompt in its own words (tokenizer, chat template or
 * pair of texts), the answer and what closes it: the end token of a complete one, the mark of a pair's end.
 */

import type { ScoreModel } from '../core/model.ts';
import type { Candidate, Reward, Score } from '../core/reward.ts';
import type { Codec } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import { Pace } from './pace.ts';
import { answerTokens } from './reader.ts';
import type { Turns } from './turns.ts';

export interface ScalarHead {
  readonly model: ScoreModel;
  /** The model's own. */
  readonly codec: Codec;
  readonly reads: Reward['reads'];
  /** Most tokens of one run; a longer sequence is read in pieces, alone and whole by a model that keeps nothing. */
  readonly runTokens: number;
  readonly turns: Turns;
}

export function scalarHead({ model, codec, reads, runTokens, turns }: ScalarHead): Reward {
  const { name } = model;
  const pace = new Pace(turns, runTokens);
  const read = (candidate: Candidate): Token[] => [
    ...candidate.readings[name]!,
    ...answerTokens({ codec }, candidate),
  ];
  return {
    name,
    reads,
    async score(batch, signal) {
      const reading = new Reading(
        model,
        batch.map((candidate) => () => read(candidate)),
      );
      while (reading.goesOn)
        await pace.run((tokens) => {
          signal?.throwIfAborted();
          return reading.run(tokens);
        });
      return reading.scores;
    },
  };
}

/** Texts on their way through a model, from the first to the last. */
class Reading {
  readonly #model: ScoreModel;
  readonly #texts: readonly (() => Token[])[];
  /** Spelled when their turn comes: spelling all of them at once would hold up whoever decodes. */
  readonly #rows: Token[][] = [];
  readonly #values: number[];
  /** The first that was not read to its end. */
  #next = 0;
  /** What was missing of it when it was last read on. */
  #missing = Infinity;

  constructor(model: ScoreModel, texts: readonly (() => Token[])[]) {
    [this.#model, this.#texts] = [model, texts];
    this.#values = texts.map(() => NaN); // what is longer than the context is not judged
  }

  get goesOn(): boolean {
    return this.#next < this.#texts.length;
  }

  get scores(): Score[] {
    return this.#values.map((value, i) => ({ value, parts: {}, tokens: this.#rows[i]!.length }));
  }

  /** Reads about so many tokens, of one text at least a piece. Returns how many it read. */
  run(tokens: number): number {
    const run: number[] = [];
    let spent = 0;
    for (; this.goesOn && spent < tokens; this.#next++) {
      const row = (this.#rows[this.#next] ??= this.#texts[this.#next]!());
      if (row.length === 0 || row.length > this.#model.context) continue;
      const missing = this.#model.missing(row);
      if (run.length === 0 && missing > tokens && this.#readOn(row, missing, tokens)) return tokens;
      if (run.length > 0 && spent + missing > tokens) break;
      run.push(this.#next);
      spent += missing;
    }
    if (run.length === 0) return 0;
    this.#missing = Infinity;
    const scores = this.#model.score(run.map((i) => this.#rows[i]!));
    run.forEach((i, at) => (this.#values[i] = scores[at]!));
    return spent;
  }

  /** Whether a piece was read; not where others took away what was read before: then it is read whole. */
  #readOn(row: readonly Token[], missing: number, tokens: number): boolean {
    if (missing >= this.#missing || !this.#model.readOn(row, tokens)) return false;
    this.#missing = missing;
    return true;
  }
}
