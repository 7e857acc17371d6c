/** POST /v1/completions, in OpenAI's words. */

import type { Answer } from '../plan/request.ts';
import { inChoices } from './choices.ts';
import type { Teller } from './choices.ts';
import { CompletionSpeller } from './logprobs.ts';

/** The prompt that an answer repeats, if it was asked to. */
const echoOf = ({ echo, n }: Answer, choice: number): string =>
  echo?.[Math.floor(choice / n)] ?? '';

const TELLER: Teller = {
  delta: (text) => [`"text":${JSON.stringify(text)}`],
  rest: () => [],
  reason: (finish) => finish,
};

export const completions = inChoices({
  endpoint: '/v1/completions',
  idPrefix: 'cmpl-',
  wholeObject: 'text_completion',
  chunkObject: 'text_completion',
  createFrame: 'completion.create',
  chunkFrame: 'completion.chunk',
  plan: (planner, body, ticket) => planner.completion(body, ticket),
  opening: (answer, choice) =>
    answer.echo ? `"text":${JSON.stringify(echoOf(answer, choice))}` : null,
  teller: () => TELLER,
  closing: '"text":""',
  message: (text, answer, choice, finish) => ({
    text: echoOf(answer, choice) + text,
    finish_reason: finish,
  }),
  speller: (answer, choice) => {
    const speller = new CompletionSpeller(
      answer.codec,
      answer.logprobs ?? 0,
      echoOf(answer, choice),
    );
    return (draws) => speller.spell(draws);
  },
});
