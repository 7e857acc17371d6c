/**
 * A decoder that judges: what it is asked about texts within one event-loop turn, by whichever rewards and requests,
 * shares runs of at most so many tokens, which take turns with decoding.
 */

import type { AskedText, PickedToken, TextModel } from '../core/model.ts';
import type { Candidate } from '../core/reward.ts';
import type { Codec } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import { runsOf } from './runs.ts';
import type { Turns } from './turns.ts';
import { isWanted } from './wanted.ts';

export interface Reader {
  readonly name: string;
  readonly codec: Codec;
  /** How long a request waits for what it says, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * The log-probs of each text's picks; null for a text that is longer than the model reads.
   * @param signal what was not begun when it aborts is not read: it rejects with the signal's reason
   */
  ask(texts: readonly AskedText[], signal?: AbortSignal): Promise<readonly (Float32Array | null)[]>;
}

export interface ReaderOptions {
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

  function flush(): void {
    const asked = waiting;
    waiting = [];
    const rows = asked.map(({ text }) => text.tokens);
    for (const run of runsOf([...rows.keys()], rows, runTokens))
      void read(run.map((i) => asked[i]!));
  }

  /** A run that fails is tried text by text: one caller fails no other. */
  async function read(run: readonly Waiting[]): Promise<void> {
    let wanted = run;
    try {
      const all = await turns.run(() => {
        wanted = run.filter(isWanted);
        return wanted.length === 0 ? [] : model.logProbs(wanted.map(({ text }) => text));
      });
      wanted.forEach(({ resolve }, i) => resolve(all[i]!));
    } catch (error) {
      if (wanted.length === 1) wanted[0]!.reject(error);
      else for (const one of wanted) void read([one]);
    }
  }

  const queue = (text: AskedText, signal?: AbortSignal): Promise<Float32Array> =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push({ text, signal, resolve, reject });
    });

  return {
    name: model.name,
    codec,
    timeoutMs,
    ask: (texts, signal) =>
      Promise.all(
        texts.map(async (text) =>
          text.tokens.length > model.context ? null : await queue(text, signal),
        ),
      ),
  };
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
