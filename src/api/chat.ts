/** POST /v1/chat/completions, in OpenAI's words. */

import { inChoices } from './choices.ts';
import { chatLogprobs } from './logprobs.ts';

export const chat = inChoices({
  endpoint: '/v1/chat/completions',
  idPrefix: 'chatcmpl-',
  wholeObject: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  createFrame: 'chat.completion.create',
  chunkFrame: 'chat.completion.chunk',
  admit: (planner, body, ambient) => planner.chat(body, ambient),
  opening: () => '"delta":{"role":"assistant","content":"","refusal":null}',
  delta: (text) => `"delta":{"content":${JSON.stringify(text)}}`,
  closing: '"delta":{}',
  message: (text) => ({ message: { role: 'assistant', content: text, refusal: null } }),
  speller:
    ({ codec, logprobs }) =>
    (draws) => ({ content: chatLogprobs(draws, codec, logprobs ?? 0), refusal: null }),
});
