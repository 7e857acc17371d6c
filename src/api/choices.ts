/** The surfaces that answer in `choices`, chat and completions: what they share, given the words in which they differ. */

import type { Draw, Finish } from '../core/tree.ts';
import type { Planner } from '../plan/parse.ts';
import type { Planned, Ticket, Answer } from '../plan/request.ts';
import { alignmentOf, usageOf } from './accounts.ts';
import type { Reports } from './accounts.ts';
import { ChunkWriter } from './chunks.ts';
import { explained } from './logprobs.ts';
import type { Spoken } from './logprobs.ts';
import { byId } from './sockets/dialect.ts';
import type { Surface } from './surface.ts';
import type { PromptDraws, Told } from './whole.ts';

export interface ChoiceWords {
  readonly endpoint: string;
  readonly idPrefix: string;
  /** Values of `object`. */
  readonly wholeObject: string;
  readonly chunkObject: string;
  readonly createFrame: string;
  readonly chunkFrame: string;
  plan(planner: Planner, body: unknown, ticket: Ticket): Planned;
  /** Members of a choice in its first chunk, as JSON without braces; null: nothing comes before the text. */
  opening(answer: Answer, choice: number): string | null;
  /** How the text of a choice is told, piece by piece. */
  teller(answer: Answer, choice: number): Teller;
  /** Members of a choice in a chunk that tells nothing more. */
  readonly closing: string;
  /** Members of a choice in a whole response, the reason of its end among them. */
  message(text: string, answer: Answer, choice: number, finish: Finish): object;
  /** Tokens of a prompt whose log-probs stand before those of a choice; left out: there are none. */
  repeats?(answer: Answer, choice: number, prompts: PromptDraws): readonly Spoken[];
  /** `logprobs` of one choice, draws by draws. */
  speller(answer: Answer, choice: number): Spelling;
}

/** @param before what `repeats` gave, in front of all draws */
export type Spelling = (draws: readonly Draw[], before?: readonly Spoken[]) => unknown;

/** Chunks as members of a choice, in JSON without braces. */
export interface Teller {
  /** For a further piece of text, which may be empty. */
  delta(text: string): string[];
  /** What was held back, once no text follows. */
  rest(): string[];
  reason(finish: Finish): string;
}

export function inChoices(words: ChoiceWords): Surface {
  const { endpoint, idPrefix, createFrame, chunkFrame } = words;
  return {
    endpoint,
    idPrefix,
    createFrame,
    chunkFrame,
    dialect: byId,
    sse: { message: (chunk) => `data: ${chunk}\n\n`, end: 'data: [DONE]\n\n' },
    plan(planner, body, ticket) {
      const planned = words.plan(planner, body, ticket);
      const { answer } = planned;
      return {
        ...planned,
        writer: (created) => new ChunkWriter(words, answer, created),
        whole: (told, created, reports) => wholeOf(words, answer, told, created, reports),
      };
    },
  };
}

function wholeOf(
  words: ChoiceWords,
  answer: Answer,
  { choices, prompts }: Told,
  created: number,
  reports: Reports,
): object {
  const inOrder = [...choices].toSorted(([a], [b]) => a - b);
  return {
    id: answer.id,
    object: words.wholeObject,
    created,
    model: answer.model,
    choices: inOrder.map(([index, { text, draws, reason }]) => ({
      index,
      ...words.message(text, answer, index, reason ?? 'stop'),
      logprobs:
        answer.logprobs === null
          ? null
          : words.speller(answer, index)(draws, words.repeats?.(answer, index, prompts)),
      ...(answer.explain ? { alignment: { tokens: explained(draws, answer) } } : {}),
    })),
    usage: usageOf(answer, reports),
    alignment: alignmentOf(answer, reports),
  };
}
