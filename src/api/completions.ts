/** POST /v1/completions, in OpenAI's words. */

import type { Answer, Echo } from '../plan/request.ts';
import { inChoices } from './choices.ts';
import type { Teller } from './choices.ts';
import { CompletionSpeller, repeated } from './logprobs.ts';

/** The prompt that an answer repeats; null: it was not asked to. */
const echoOf = ({ echo, n }: Answer, choice: number): Echo | null =>
  echo?.[Math.floor(choice / n)] ?? null;

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
  opening(answer, choice) {
    const echo = echoOf(answer, choice);
    return echo === null ? null : `"text":${JSON.stringify(echo.text)}`;
  },
  repeats(answer, choice, prompts) {
    const echo = echoOf(answer, choice);
    return echo === null ? [] : repeated(echo, prompts.of(Math.floor(choice / answer.n)));
  },
  teller: () => TELLER,
  closing: '"text":""',
  message: (text, answer, choice, finish) => ({
    text: (echoOf(answer, choice)?.text ?? '') + text,
    finish_reason: finish,
  }),
  speller: (answer, choice) => {
    const speller = new CompletionSpeller(
      answer.codec,
      answer.logprobs ?? 0,
      echoOf(answer, choice),
    );
    return (draws, before = []) => speller.spell([...before, ...draws]);
  },
});
