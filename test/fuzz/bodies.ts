/** Bodies for every endpoint that takes one: drawn from the wire's own schemas, then spoilt or left as they are. */

import { z } from 'zod';
import { anything, flag, integer, tolerant } from '../../src/core/fields.ts';
import {
  UNSERVED_IN_CHAT,
  alignmentSchema,
  chatSchema,
  completionSchema,
  responsesSchema,
  rewardParts,
} from '../../src/plan/wire.ts';
import { limits } from '../fakes/catalog.ts';
import type { Chance } from './chance.ts';
import { FIELDS, NEEDED } from './fields.ts';
import { drawing } from './from_schema.ts';
import type { Draw, Named } from './from_schema.ts';
import { JSON_TYPE, spoil, spoilBytes, write } from './hostile.ts';
import type { Sent } from './hostile.ts';

/** How many of the fields that may be left out are given. */
const SHARE = 0.15;

const alignment = drawing(alignmentSchema(limits), FIELDS, 0.3);
const named: Named = {
  ...FIELDS,
  alignment: (chance) => (chance.is(0.6) ? alignment(chance) : {}),
};
const generation = (schema: z.ZodType): Draw => drawing(schema, named, SHARE);

const chat = generation(chatSchema(limits));
const completion = generation(completionSchema(limits));
const flat = { tools: NEEDED.flatTools, tool_choice: NEEDED.flatChoice };
const response = drawing(responsesSchema(limits), { ...named, ...flat }, SHARE);
const judging = drawing(z.object(rewardParts(limits)), FIELDS, 0.3);
const tokenizing = drawing(
  tolerant({
    add_special_tokens: flag.nullish(),
    return_token_strs: flag.nullish(),
    model: anything,
  }),
  FIELDS,
  0.4,
);

type Body = Record<string, unknown>;

const reranked = drawing(
  tolerant({ top_n: integer(1, 5).nullish(), return_documents: flag.nullish() }),
  FIELDS,
  0.4,
);
const reranking = (chance: Chance): Body => ({
  ...(chance.is(0.6)
    ? { model: NEEDED.reward(chance) }
    : { alignment: { rewards: [{ model: NEEDED.reward(chance) }], ...(judging(chance) as Body) } }),
  ...(reranked(chance) as Body),
  query: 'Tell a tale',
  documents: FIELDS['documents']?.(chance),
});

/** Well-formed more often than not; what each needs stands first. */
const BODIES: Readonly<Record<string, (chance: Chance) => Body>> = {
  '/v1/chat/completions': (chance) => {
    const drawn = chat(chance) as Body;
    if (chance.is(0.9)) for (const key of Object.keys(UNSERVED_IN_CHAT)) delete drawn[key];
    return {
      max_tokens: chance.integer(1, 6),
      ...drawn,
      messages: NEEDED.messages(chance),
    };
  },
  '/v1/completions': (chance) => ({
    max_tokens: chance.integer(1, 6),
    prompt: 'One day',
    ...(completion(chance) as Body),
  }),
  '/v1/responses': (chance) => {
    const unserved = ['messages', 'max_tokens', 'max_completion_tokens', 'response_format', 'n'];
    const drawn = response(chance) as Body;
    if (chance.is(0.9)) {
      for (const key of [...unserved, 'background', 'conversation', 'prompt']) delete drawn[key];
      if (chance.is(0.7)) delete drawn['previous_response_id'];
    }
    return { max_output_tokens: chance.integer(1, 6), input: 'One day', ...drawn };
  },
  '/v1/score': (chance) => ({
    ...(chance.is(0.5)
      ? { model: NEEDED.reward(chance) }
      : {
          alignment: { rewards: [{ model: NEEDED.reward(chance) }], ...(judging(chance) as Body) },
        }),
    ...(chance.is(0.3)
      ? { messages: NEEDED.conversation(chance) }
      : { queries: 'Tell a tale', documents: FIELDS['documents']?.(chance) }),
    complete: chance.is(0.5),
  }),
  ...Object.fromEntries(
    ['/v1/rerank', '/rerank', '/v2/rerank'].map((path) => [path, reranking] as const),
  ),
  '/tokenize': (chance) => ({
    ...(tokenizing(chance) as Body),
    ...(chance.is(0.5)
      ? { prompt: FIELDS['prompt']?.(chance) }
      : { messages: NEEDED.messages(chance) }),
  }),
  '/detokenize': (chance) => ({ ...(tokenizing(chance) as Body), tokens: NEEDED.ids(chance) }),
};

export const ENDPOINTS: readonly string[] = Object.keys(BODIES);

/** A well-formed body, unspoilt. */
export function bodyOf(endpoint: string, chance: Chance): Body {
  const draw = BODIES[endpoint];
  if (!draw)
    throw new Error(`no bodies are drawn for ${endpoint}; there are ${ENDPOINTS.join(', ')}`);
  return draw(chance);
}

/** What is sent: as it was drawn, with fields spoilt, or with its bytes spoilt. */
export function caseOf(endpoint: string, chance: Chance): Sent {
  const body = bodyOf(endpoint, chance);
  const spoilt = chance.is(0.5) ? chance.integer(1, 3) : 0;
  for (let i = 0; i < spoilt; i++) spoil(body, chance);
  const json = write(body);
  return chance.is(0.1)
    ? spoilBytes(json, chance)
    : { bytes: Buffer.from(json), headers: JSON_TYPE };
}
