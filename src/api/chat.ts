/** POST /v1/chat/completions, in OpenAI's words. */

import { inChoices } from './choices.ts';
import type { Teller } from './choices.ts';
import { chatLogprobs } from './logprobs.ts';
import { calledMessage, callTeller } from './tool_calls.ts';

const TELLER: Teller = {
  delta: (text) => [`"delta":{"content":${JSON.stringify(text)}}`],
  rest: () => [],
  reason: (finish) => finish,
};

export const chat = inChoices({
  endpoint: '/v1/chat/completions',
  idPrefix: 'chatcmpl-',
  wholeObject: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  createFrame: 'chat.completion.create',
  chunkFrame: 'chat.completion.chunk',
  plan: (planner, body, ticket) => planner.chat(body, ticket),
  opening: ({ calls }) =>
    `"delta":{"role":"assistant","content":${calls ? 'null' : '""'},"refusal":null}`,
  teller: (answer, choice) => (answer.calls ? callTeller(answer, choice) : TELLER),
  closing: '"delta":{}',
  message: (text, answer, choice, finish) =>
    answer.calls
      ? calledMessage(text, answer, choice, finish)
      : { message: { role: 'assistant', content: text, refusal: null }, finish_reason: finish },
  speller:
    ({ codec, logprobs }) =>
    (draws) => ({ content: chatLogprobs(draws, codec, logprobs ?? 0), refusal: null }),
});
