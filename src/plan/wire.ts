/** The wire: what a client may send. Strict inside `alignment`, tolerant of OpenAI's own fields outside; null means left out. */

import { z } from 'zod';
import {
  anything,
  flag,
  integer,
  list,
  number,
  oneOf,
  perLimits,
  strict,
  table,
  text,
  tolerant,
  wrong,
} from '../core/fields.ts';
import type { Limits } from './catalog.ts';
import { steeringSchema } from './steering.ts';

/** Whose figures: the request's own candidates', or those the manifest stores. */
const ORIGINS = oneOf(['pool', 'stored']);

/** Fields that every endpoint which generates takes. Shapes with several forms (stop, logit_bias, prompt) are read by hand in fields of their own. */
const common = (limits: Limits) => ({
  model: text(256, 1).nullish(),
  temperature: number(0, 2).nullish(),
  top_p: number(0, 1).nullish(),
  top_k: integer(-1, 1_000_000).nullish(),
  min_p: number(0, 1).nullish(),
  presence_penalty: number(-2, 2).nullish(),
  frequency_penalty: number(-2, 2).nullish(),
  repetition_penalty: number(0.01, 10).nullish(),
  logit_bias: anything,
  stop: anything,
  max_tokens: integer(1, 1_000_000_000).nullish(),
  seed: integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER).nullish(),
  n: integer(1, limits.branches).nullish(),
  stream: flag.nullish(),
  stream_options: tolerant({
    include_usage: flag.nullish(),
    include_alignment: flag.nullish(),
  }).nullish(),
  alignment: anything,
  tools: anything,
  response_format: anything,
});

/** A conversation. */
export const messagesSchema = perLimits(({ messages }: Limits) =>
  list(
    tolerant({
      role: oneOf(['system', 'developer', 'user', 'assistant', 'tool']),
      content: anything,
      tool_calls: anything,
      tool_call_id: anything,
    }),
    messages,
    1,
  ),
);

/** Fields that would change an answer and are refused, with what to do instead. */
type Unserved = Readonly<Record<string, string>>;

const read = <F extends Unserved>(fields: F) =>
  Object.fromEntries(Object.keys(fields).map((key) => [key, anything])) as Record<
    keyof F,
    typeof anything
  >;

const ECHO = 'left out: give `echo` and `logprobs` to /v1/completions instead';

export const UNSERVED_IN_COMPLETIONS = { prompt_logprobs: ECHO } as const;

export const UNSERVED_IN_CHAT = {
  prompt_logprobs: ECHO,
  functions: 'left out: give `tools` instead',
  function_call: 'left out: give `tool_choice` instead',
  web_search_options: 'left out: models here search nothing but their own answers',
} as const;

export const UNSERVED_IN_RESPONSES = {
  messages: 'left out: give `input` instead',
  max_tokens: 'left out: give `max_output_tokens` instead',
  max_completion_tokens: 'left out: give `max_output_tokens` instead',
  response_format: 'left out: give `text.format` instead',
  n: 'left out: a response holds one answer',
  background: 'left out: answers are given on the connection that asked for them',
  conversation: 'left out: give `previous_response_id` instead',
  prompt: 'left out: this server keeps no prompt templates',
} as const;

/** @throws ServeError for the first of these fields that is given; null and false give nothing */
export function refuseUnserved(wire: Readonly<Record<string, unknown>>, fields: Unserved): void {
  for (const [field, rule] of Object.entries(fields)) {
    const given = wire[field] ?? false;
    if (given !== false) throw wrong(field, given, rule);
  }
}

export const chatSchema = (limits: Limits) =>
  tolerant({
    ...common(limits),
    ...read(UNSERVED_IN_CHAT),
    modalities: list(oneOf(['text']), 8).nullish(),
    messages: messagesSchema(limits),
    max_completion_tokens: integer(1, 1_000_000_000).nullish(),
    tool_choice: anything,
    parallel_tool_calls: flag.nullish(),
    logprobs: flag.nullish(),
    top_logprobs: integer(0, limits.topLogprobs).nullish(),
  });

export const completionSchema = (limits: Limits) =>
  tolerant({
    ...common(limits),
    ...read(UNSERVED_IN_COMPLETIONS),
    /** 0 beside echo: nothing is drawn. */
    max_tokens: integer(0, 1_000_000_000).nullish(),
    prompt: anything,
    suffix: z.string('a string').nullish(),
    echo: flag.nullish(),
    best_of: integer(1, limits.branches).nullish(),
    logprobs: integer(0, limits.topLogprobs).nullish(),
  });

/** A response's input items and its text format have forms of their own, read by hand. */
export const responsesSchema = (limits: Limits) => {
  const { max_tokens: _tokens, response_format: _format, n: _n, ...shared } = common(limits);
  return tolerant({
    ...shared,
    ...read(UNSERVED_IN_RESPONSES),
    input: anything,
    instructions: z.string('a string').nullish(),
    previous_response_id: text(128, 1).nullish(),
    max_output_tokens: integer(1, 1_000_000_000).nullish(),
    store: flag.nullish(),
    truncation: oneOf(['auto', 'disabled']).nullish(),
    metadata: metadata.nullish(),
    text: tolerant({ format: anything }).nullish(),
    include: list(z.string('a string'), 64).nullish(),
    top_logprobs: integer(0, limits.topLogprobs).nullish(),
    tool_choice: anything,
    parallel_tool_calls: flag.nullish(),
  });
};

/** OpenAI's bounds. */
const METADATA = 'an object of at most 16 strings of up to 512 characters, keys of up to 64';
const metadata = table(z.string().max(64, METADATA), text(512), METADATA).refine(
  (pairs) => Object.keys(pairs).length <= 16,
  METADATA,
);

export type ResponsesWire = z.output<ReturnType<typeof responsesSchema>>;
export type ChatWire = z.output<ReturnType<typeof chatSchema>>;
export type CompletionWire = z.output<ReturnType<typeof completionSchema>>;
export type CommonWire = Omit<ChatWire, 'messages' | 'logprobs' | 'top_logprobs'>;

const FAR = 1e6;

export const transformSchema = z.discriminatedUnion(
  'type',
  [
    strict({
      type: z.literal('log_sigmoid'),
      reference: z
        .union([number(-FAR, FAR), strict({ quantile: number(0, 1), of: ORIGINS.nullish() })], {
          error: 'a number, or {"quantile": share, "of": "pool" | "stored"}',
        })
        .nullish(),
    }),
    strict({ type: z.literal('clip'), eta: number(-FAR, FAR).nullish() }),
    strict({ type: z.literal('zscore'), of: ORIGINS.nullish() }),
    strict({ type: z.literal('rank') }),
    strict({ type: z.literal('win_rate') }),
  ],
  { error: 'an object whose type is log_sigmoid, clip, zscore, rank or win_rate' },
);

/** Steps and what they come to; sum: so that delta telescopes. */
export const stepsSchema = (limits: Limits) =>
  strict({
    until: list(text(limits.stopLength, 1), limits.stops, 1).nullish(),
    transform: z
      .discriminatedUnion(
        'type',
        [
          strict({ type: z.literal('clip'), eta: number(-FAR, FAR).nullish() }),
          strict({ type: z.literal('delta') }),
        ],
        { error: 'an object whose type is clip or delta' },
      )
      .nullish(),
    aggregate: oneOf(['min', 'last', 'prod', 'mean', 'sum']).nullish(),
  });

/** What every member says beside what its own kind asks for. */
export const memberParts = (limits: Limits) => ({
  id: text(64, 1).nullish(),
  weight: number(-limits.weight, limits.weight).nullish(),
  steps: stepsSchema(limits).nullish(),
  transform: transformSchema.nullish(),
});

export type MemberWire = z.output<z.ZodObject<ReturnType<typeof memberParts>>>;

const ensembleSchema = (limits: Limits) =>
  strict({
    members: list(text(256, 1), limits.rewards, 1).nullish(),
    abstain: number(0, FAR).nullish(),
    aggregate: oneOf([
      'mean',
      'median',
      'min',
      'max',
      'uwo',
      'lcb',
      'distance',
      'squared_distance',
      'cosine',
    ]).nullish(),
    prototypes: list(
      table(z.string().min(1).max(256), number(-FAR, FAR), 'an object of scores by member'),
      limits.rewards,
      1,
    ).nullish(),
    user: list(number(0, FAR), limits.rewards, 1).nullish(),
    lambda: number(0, FAR).nullish(),
    normalize: oneOf(['stored', 'pool', 'rank', 'none']).nullish(),
    variance: oneOf(['population', 'unbiased']).nullish(),
  });

const lagrangeSchema = strict({
  rate: number(0, FAR).nullish(),
  steps: integer(0, 1000).nullish(),
});

const constraintSchema = strict({
  reward: text(256, 1),
  min: number(-FAR, FAR).nullish(),
  max: number(-FAR, FAR).nullish(),
  cap: number(-FAR, FAR).nullish(),
});

const lengthSchema = strict({
  mode: oneOf(['linear', 'over', 'ratio']).nullish(),
  target: integer(1, 1_000_000).nullish(),
  lambda: number(0, FAR).nullish(),
  repetition: number(0, FAR).nullish(),
});

/** What judges, within `alignment`; its rewards are parsed one by one, each by its kind. */
export const rewardParts = (limits: Limits) => ({
  rewards: list(z.unknown(), limits.rewards).nullish(),
  ensemble: ensembleSchema(limits).nullish(),
  lagrange: lagrangeSchema.nullish(),
  constraints: list(constraintSchema, limits.rewards).nullish(),
  length: lengthSchema.nullish(),
});

/** What is read of a strategy before it reads the rest itself. */
export const strategySchema = z.looseObject(
  { type: z.string('a string') },
  'an object with a type',
);

/** The `alignment` object; its strategy is parsed by the strategy itself, its guides one by one. */
export const alignmentSchema = perLimits((limits: Limits) =>
  strict({
    guides: list(z.unknown(), limits.guides).nullish(),
    combine: oneOf(['sum', 'mean']).nullish(),
    max_kl: number(0, 1000).nullish(),
    plausibility: number(0, 1).nullish(),
    steering: steeringSchema(limits).nullish(),
    strategy: anything,
    explain: flag.nullish(),
    ...rewardParts(limits),
    budget: strict({
      tokens: integer(1, limits.tokens).nullish(),
      ms: integer(1, limits.budgetMs).nullish(),
    }).nullish(),
  }),
);

/** A prompt of a model's own, in place of the request's. */
export const ownPrompt = strict({
  system: text(1_000_000).nullish(),
  text: text(1_000_000).nullish(),
}).nullish();

export type OwnPrompt = z.output<typeof ownPrompt>;

export type AlignmentWire = z.output<ReturnType<typeof alignmentSchema>>;
