/** What one request may ask, at most, with the bounds and defaults of these bounds. */

import { integer, number, strict } from '../core/fields.ts';
import { size } from './size_field.ts';

export const limits = strict({
  branches: integer(1, 65_536).default(64).describe('n × prompts × branches of the strategy.'),
  tokens: integer(1, 2 ** 31)
    .default(65_536)
    .describe('Those × `max_tokens`; and what a search that grows as it goes may draw.'),
  budget_ms: integer(1, 2 ** 31 - 1)
    .default(600_000)
    .describe('The longest `alignment.budget.ms`.'),
  guides: integer(0, 64).default(4).describe('Guides.'),
  rewards: integer(0, 64).default(8).describe('Rewards.'),
  steps: integer(1, 4096).default(64).describe('Steps that one text may be judged in.'),
  questions: integer(1, 1024).default(16).describe('Questions or follow-up lines of one reward.'),
  question_length: integer(1, 1_000_000).default(2000).describe('Characters of each.'),
  documents: integer(1, 65_536).default(128).describe('Texts that one request may have judged.'),
  stops: integer(0, 1024).default(4).describe('Stop strings.'),
  stop_length: integer(1, 4096).default(64).describe('Characters of each.'),
  logit_bias: integer(0, 100_000).default(300).describe('Tokens with a bias.'),
  top_logprobs: integer(0, 64).default(20).describe('Likeliest tokens listed beside each.'),
  prompt_logprobs: integer(0, 2 ** 24)
    .default(262_144)
    .describe(
      'Log-probs of prompts (`echo`): tokens × choices × (1 + `logprobs`); and what may be read where `/v1/score` tells `tokens`.',
    ),
  messages: integer(1, 10_000).default(256).describe('Messages, or items, of a conversation.'),
  tools: integer(0, 1024).default(128).describe('Functions that one request may offer.'),
  weight: number(0, 1000).default(16).describe('Largest weight of a guide or a reward.'),
  vectors: integer(0, 64).default(4).describe('Steering vectors.'),
  vector_scale: number(0, 1e6).default(100).describe('Largest scale of each.'),
  schema_bytes: size.default(64 * 1024).describe('Of a JSON schema.'),
  schema_depth: integer(1, 64).default(32).describe('How deep its schemas nest.'),
  schemas: integer(1, 100_000).default(2000).describe('How many schemas are in it.'),
  schema_values: integer(1, 100_000).default(2000).describe('Values in all its enums.'),
  schema_pattern: integer(1, 100_000).default(1000).describe('Characters of a pattern.'),
  rule_states: integer(16, 1_000_000)
    .default(20_000)
    .describe('States that a schema, pattern or grammar may compile to.'),
});
