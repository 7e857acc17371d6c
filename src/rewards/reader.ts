/**
 * A decoder that judges: what it is asked about texts within one event-loop turn, by whichever rewards and requests,
 * shares runs of at most so many tokens, which take turns with decoding.
 */

import type { AskedText, PickedToken, TextModel } from '../core/model.ts';
import type { Candidate } from '../core/reward.ts';
import type { Codec } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import { Pace } from './pace.ts';
import type { Turns } from './turns.ts';
import { isWanted } from './wanted.ts';

export interface Reader {
  readonly name: string;
  readonly codec: Codec;
  /** How long a request waits for what it says, in milliseconds. */
  readonly timeoutMs: number;
  /** What `write` makes of each item in the reader's tokens. In turns: a thousand texts at once would hold up whoever decodes. */
  spell<T, U>(
    items: readonly T[],
    write: (item: T) => U,
    signal?: AbortSignal,
  ): Promise<readonly U[]>;
  /**
   * The log-probs of each text's picks; null for a text that is longer than the model reads.
   * @param signal what was not begun when it aborts is not read: it rejects with the signal's reason
   */
  ask(texts: readonly AskedText[], signal?: AbortSignal): Promise<readonly (Float32Array | null)[]>;
}

interface ReaderOptions {
  readonly model: TextModel;
  readonly codec: Codec;
  /** Tokens of one run, padding included; a longer text runs alone. */
  readonly runTokens: number;
  readonly turns: Turns;
  readonly timeoutMs: number;
}

interface Waiting {
  readonly text: AskedText;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (logProbs: Float32Array) => void;
  readonly reject: (error: unknown) => void;
}

export function reader({ model, codec, runTokens, turns, timeoutMs }: ReaderOptions): Reader {
  let waiting: Waiting[] = [];
  const pace = new Pace(turns, runTokens);

  async function flush(): Promise<void> {
    const asked = waiting.toSorted((a, b) => b.text.tokens.length - a.text.tokens.length);
    const alone: Waiting[] = []; // of a run that failed: each is tried by itself, so one caller fails no other
    waiting = [];
    while (asked.length + alone.length > 0)
      await pace.run((tokens) => {
        const run = alone.length > 0 ? alone.splice(0, 1) : firstRun(asked, tokens);
        const wanted = run.filter(isWanted);
        if (wanted.length === 0) return 0;
        try {
          const all = model.logProbs(wanted.map(({ text }) => text));
          wanted.forEach(({ resolve }, i) => resolve(all[i]!));
        } catch (error) {
          if (wanted.length === 1) wanted[0]!.reject(error);
          else alone.push(...wanted);
        }
        return wanted.length * wanted[0]!.text.tokens.length;
      });
  }

  const queue = (text: AskedText, signal?: AbortSignal): Promise<Float32Array> =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(() => void flush());
      waiting.push({ text, signal, resolve, reject });
    });

  return {
    name: model.name,
    codec,
    timeoutMs,
    spell: turns.each.bind(turns),
    ask: (texts, signal) =>
      Promise.all(
        texts.map(async (text) =>
          text.tokens.length > model.context ? null : await queue(text, signal),
        ),
      ),
  };
}

/**
 * Takes from the front of `queue`, longest first, as many as one run's tokens allow; at least one. Rows are padded to the
 * longest of their run, so like lengths go together.
 */
function firstRun(queue: Waiting[], tokens: number): Waiting[] {
  const most = Math.floor(tokens / queue[0]!.text.tokens.length);
  return queue.splice(0, Math.max(1, most));
}

/** An answer in a reader's own tokens; a complete one ends with its end token. */
export const answerTokens = (
  { codec }: { readonly codec: Codec },
  { text, complete }: Candidate,
): Token[] => [...codec.encode(text), ...codec.closing(complete)];

/** `tokens` after `before`: asks for the log-prob of each of them. A first token of all has nothing before it. */
export function continuation(before: readonly Token[], tokens: readonly Token[]): AskedText {
  const picks = tokens.map((token, i): PickedToken => ({ after: before.length + i - 1, token }));
  return { tokens: [...before, ...tokens], picks: before.length === 0 ? picks.slice(1) : picks };
}
