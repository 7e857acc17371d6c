/** Fields that are read by hand: well-formed values of them, small enough to be quick. A spoiler may follow. */

import { strategies } from '../../src/strategies/index.ts';
import type { Chance } from './chance.ts';
import type { Draw, Named } from './from_schema.ts';

const one =
  <T>(items: readonly T[]): Draw =>
  (chance) =>
    structuredClone(chance.pick(items));

const PROMPTS = [
  'One day, Tom',
  'Lily had a',
  '',
  'naïve 🙂👩‍👩‍👧\n\t7,5. <|yes|>',
  [1, 2, 3],
  [[4, 5], [6]],
  ['Tom', 'Lily'],
  'word '.repeat(80),
  'word '.repeat(400),
];
const TEXTS = ['Tom was happy.', '', 'Lily ran to the park, and 🙂', 'so '.repeat(60)];
const CONTENTS = ['Tell a tale', [{ type: 'text', text: 'Tom' }], [], '', null, 'word '.repeat(60)];

const MODELS = [
  'tales',
  'tales',
  'tales',
  'tales:happy',
  'tales:dpo',
  'tales-dpo',
  'arith',
  'steered',
  'steered:calm',
  'nobody',
];
const REWARDS = ['rm-happy-a', 'rm-happy-b', 'rm-kind-a', 'rm-kind-b'];
const GUIDES = ['arm-happy', 'arm-kind', 'arm-happy-small', 'tales-dpo'];

/** Schemas: kept, refused, recursive, contradictory, wide. */
const SCHEMAS: readonly object[] = [
  {
    type: 'object',
    properties: { a: { type: 'integer' } },
    required: ['a'],
    additionalProperties: false,
  },
  { type: 'array', items: { enum: ['x', 'y'] }, maxItems: 2 },
  { $ref: '#' },
  { $ref: '#/$defs/a', $defs: { a: { type: 'array', items: { $ref: '#/$defs/a' } } } },
  { type: 'string', pattern: '^(a+)+$' },
  { type: 'string', pattern: '(?=x)', format: 'email' },
  { type: 'number', minimum: 3, maximum: 1 },
  { anyOf: Array.from({ length: 50 }, (_, i) => ({ const: i })) },
  {
    type: 'object',
    properties: Object.fromEntries(
      Array.from({ length: 900 }, (_, i) => [`p${i}`, { type: 'null' }]),
    ),
  },
  { not: {} },
  { type: 'string', minLength: 50_000 },
  { type: 'nothing' },
];

const FORMATS = [
  { type: 'text' },
  { type: 'json_object' },
  ...SCHEMAS.map((schema) => ({
    type: 'json_schema',
    json_schema: { name: 'a', strict: true, schema },
  })),
];

/** The Responses API has the same without the inner object. */
const TEXT_FORMATS = [
  { type: 'text' },
  { type: 'json_object' },
  ...SCHEMAS.map((schema) => ({ type: 'json_schema', name: 'a', schema })),
];

const tool = (parameters: object | undefined, name = 'look') => ({
  type: 'function',
  function: { name, description: 'looks', parameters, strict: true },
});
const TOOLS = [
  [],
  [tool(undefined)],
  [tool(SCHEMAS[0]), tool(SCHEMAS[1], 'see')],
  ...SCHEMAS.slice(2).map((schema) => [tool(schema)]),
  [tool(SCHEMAS[0]), tool(SCHEMAS[0])],
];

/** The Responses API has them a level flatter. */
const FLAT_TOOLS = TOOLS.map((tools) =>
  tools.map(({ type, function: { name, parameters } }) => ({ type, name, parameters })),
);

/** One of each, and its fields one by one. */
const STRATEGIES: readonly object[] = [
  { type: 'best_of_n', n: 3 },
  { type: 'best_of_n', n: 3, by: 'likelihood', select: 'soft', lambda: 1 },
  { type: 'best_of_n', n: 4, prune: { type: 'speculative_rejection', alpha: 0.5, at: 4 } },
  { type: 'best_of_n', n: 4, prune: { type: 'confidence' }, adaptive: null },
  { type: 'best_of_n', n: 4, prune: { type: 'self_evaluation', at: [2], uncalibrated: true } },
  { type: 'best_of_n', n: 3, prune: { type: 'self_truncation', window: 2 } },
  { type: 'best_of_n', n: 4, adaptive: { self_evaluation: { probability: 0.5, question: '?' } } },
  { type: 'best_of_n', n: 4, adaptive: { threshold: 0.5, min: 2, round: 1 } },
  { type: 'beam', width: 3, groups: 3, diversity: 0.5, early_stopping: 'never' },
  { type: 'beam', width: 2, length_penalty: -1, length_basis: 'full', reward_weight: 2 },
  { type: 'segment_beam', width: 2, expand: 2, segment: { tokens: 3 } },
  { type: 'segment_rejection', temperature: 0.5, target: 0.1, attempts: 3 },
  { type: 'args', top_k: 4, weight: 2, temperature: 1 },
  { type: 'particles', n: 3, potential: 'max', lambda: 2, every: 2, ess: 1 },
  { type: 'particles', n: 3, lambda: 0, resample: 'residual' },
  { type: 'mcts', branch: 2, iterations: 3, roll_forward: 1, patience: 1 },
  { type: 'mcts', iterations: 2, answer: { extract: 'last_number' }, truth: '7' },
  { type: 'vote', n: 3, by: 'majority', answer: 'number' },
  { type: 'vote', n: 3, by: 'best' },
  { type: 'vote', n: 3, by: 'weighted', answer: { regex: '(a+)+$' } },
  ...Object.keys(strategies).map((type) => ({ type })),
];

const guide: Draw = (chance) => {
  const weight = chance.pick([1, 0.5, -0.5, 0, 16]);
  const own = chance.pick([undefined, undefined, { text: 'A happy tale.' }, { system: 'kind' }]);
  return chance.pick<object>([
    { model: chance.pick(GUIDES), weight, prompt: own },
    { model: chance.pick(GUIDES), mask: { entropy_above: 1 } },
    { plus: chance.pick(GUIDES), minus: 'tales', weight, plus_prompt: own },
    { rule: { choice: ['yes', 'no'] } },
    { rule: { choices: ['yes', 'no'] } },
    { rule: { regex: chance.pick(['[ab]{3}', '(a|b)*c', '(?<=a)b', '.*']) } },
    { rule: { json_schema: structuredClone(chance.pick(SCHEMAS)) } },
    { value: 'rm-happy-a' },
  ]);
};

/** Fields by their names, wherever they stand. */
export const FIELDS: Named = {
  model: one(MODELS),
  n: one([1, 1, 2, 3]),
  best_of: one([1, 2, 4]),
  max_tokens: one([1, 2, 5, 8]),
  max_completion_tokens: one([1, 4]),
  max_output_tokens: one([1, 2, 5, 8]),
  stop: one([
    '.',
    [],
    ['a', 'b'],
    ['\n', ' ', ',', '.'],
    ['a', 'b', 'c', 'd', 'e'],
    'x'.repeat(65),
    '',
  ]),
  logit_bias: one([
    {},
    { '5': -100 },
    { '0': 100 },
    { '2047': 1 },
    { '2048': 1 },
    { '-1': 1 },
    { a: 1 },
    { '5': 1e9 },
    [5],
  ]),
  prompt: one(PROMPTS),
  content: one(CONTENTS),
  role: one(['user', 'user', 'assistant', 'system', 'developer', 'tool']),
  tool_calls: one([
    undefined,
    [{ id: 'c', type: 'function', function: { name: 'look', arguments: '{"a":1}' } }],
  ]),
  tool_call_id: one(['c', undefined]),
  response_format: one(FORMATS),
  format: one(TEXT_FORMATS),
  tools: one(TOOLS),
  tool_choice: one(['auto', 'none', 'required', { type: 'function', function: { name: 'look' } }]),
  guides: (chance) => Array.from({ length: chance.integer(0, 3) }, () => guide(chance)),
  steering: one([[], [], null, [{ vector: 'calm' }], [{ vector: 'calm', scale: 1e9 }], [{}]]),
  strategy: one(STRATEGIES),
  rewards: (chance) =>
    Array.from({ length: chance.integer(1, 2) }, () => ({
      ...chance.pick<object>([
        { model: chance.pick(REWARDS) },
        {
          model: chance.pick(REWARDS),
          transform: { type: chance.pick(['rank', 'win_rate', 'x']) },
        },
        { pairwise: 'tales', aggregate: chance.pick(['win_rate', 'lottery', 'knockout', 'x']) },
        { pairwise: 'tales', question: chance.pick(['{other}', 'or?', '{other}'.repeat(300)]) },
        { likelihood: chance.pick(GUIDES), aggregate: chance.pick(['mean', 'x']) },
        { plus: 'tales-dpo', minus: 'tales', step: { until: chance.pick([['.'], [''], []]) } },
        { judge: 'tales', question: chance.pick(['Is it sad?', '', '?'.repeat(3000)]) },
        {
          judge: 'tales',
          criterion: 'it ends',
          ratings: chance.pick([['1', '2'], ['1'], ['12x']]),
        },
        {
          judge: chance.pick(['tales', 'tales', 'tales-dpo']), // who has no rows to write in
          question: 'Is it sad?',
          critique: {
            question: chance.pick(['Why?', 'Why?', '']),
            max_tokens: chance.pick([1, 8, 40, 1e9]),
            n: chance.pick([1, 2, 65]),
            temperature: chance.pick([0, 1, null]),
          },
        },
        { likelihood: 'tales', follow_up: { positive: chance.pick([['So sad.'], []]) } },
        { check: 'number', answer: chance.pick([7, '7', null]) },
        { check: 'json', schema: structuredClone(chance.pick(SCHEMAS)) },
        { length: chance.pick(['over', 'x']), target: chance.pick([5, -5]) },
        {
          personal: chance.pick(['personal', 'personal', ...REWARDS]),
          user: chance.pick([[0.5, -1], [0.5, -1], [0.5, 900], [0.5], [], [1e300]]),
        },
      ]),
      weight: chance.pick([1, 0.5, -1, 0]),
    })),
  reward: one(REWARDS),
  tokens: one([1, 5, 50, 1000]),
  ms: one([1, 5, 100, 5000]),
  input: one<unknown>([
    'One day',
    [{ role: 'user', content: 'Tom' }],
    [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Tom' }] }],
    [
      { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c', output: 'seen' },
    ],
    [{ type: 'item_reference', id: 'msg_x' }],
    [{ type: 'input_image', image_url: 'http://127.0.0.1/x.png' }],
  ]),
  previous_response_id: one(['resp_nobody', 'x']),
  metadata: one([{}, { a: 'b' }, { a: 'x'.repeat(513) }]),
  queries: one<unknown>(['Tell a tale', ['Tell', 'a tale'], ['Tell']]),
  documents: one<unknown>([TEXTS, TEXTS.slice(0, 2), 'one text', []]),
};

/** What a request of an endpoint needs, so that most of what is drawn is served. */
export const NEEDED = {
  messages: (chance: Chance): object[] => [{ role: 'user', content: chance.pick(CONTENTS) }],
  conversation: (chance: Chance): object[] => [
    { role: 'user', content: 'Tell a tale' },
    { role: 'assistant', content: chance.pick(TEXTS) },
  ],
  reward: one(REWARDS),
  flatTools: one(FLAT_TOOLS),
  flatChoice: one(['auto', 'none', 'required', { type: 'function', name: 'look' }]),
  ids: one([[1, 2, 3], [], [2047], [2048], [-1], [1.5], 'x']),
} as const;
