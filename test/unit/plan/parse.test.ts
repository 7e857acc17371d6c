import { describe, expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { catalog, limits } from '../../fakes/catalog.ts';

const parser = planner(catalog);
const ambient = { id: 'cmpl-1', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };
const ok = { model: 'tales', prompt: 'One day', max_tokens: 5 };
const chatOk = { model: 'tales', messages: [{ role: 'user', content: 'Hi' }] };

const complete = (body: unknown) => parser.completion(body, ambient);
const chat = (body: unknown) => parser.chat(body, ambient);
const planOf = (fields: object) => complete({ ...ok, ...fields }).plan;

function refusal(parse: (body: unknown) => unknown, body: unknown): ServeError {
  try {
    parse(body);
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(body)}`);
}

describe('a completion', () => {
  test('has OpenAI’s defaults', () => {
    const { plan, answer } = complete({ model: 'tales', prompt: 'ab' });
    expect(plan).toEqual({
      id: 'cmpl-1',
      request: 'req_1',
      strategy: 'sample',
      reward: null,
      values: [],
      params: {},
      prompts: [
        {
          lanes: [{ model: 'tales', prompt: [0, 105, 106] }],
          text: 'ab',
          messages: null,
          readings: {},
        },
      ],
      n: 1,
      answers: 1,
      opening: {
        guidance: { uses: [], combine: 'sum', maxKl: null, plausibility: 0 },
        steering: [],
        sampling: {
          temperature: 1,
          topK: 0,
          topP: 1,
          minP: 0,
          presencePenalty: 0,
          frequencyPenalty: 0,
          repetitionPenalty: 1,
          logitBias: [],
        },
        rule: null,
        maxTokens: 16,
        extra: 0,
        budget: catalog.limits.tokens,
        stops: [],
        seed: 7n,
        record: { top: 0, guides: false, states: false },
        salt: '',
      },
      budgetMs: null,
      stream: false,
      readsPrompts: false,
      draws: false,
      explain: false,
      drafts: false,
    });
    expect(answer).toMatchObject({ model: 'tales', seed: 7, promptTokens: [3], echo: null });
  });

  test('takes all four forms of prompt', () => {
    const lanesOf = (prompt: unknown) =>
      complete({ prompt }).plan.prompts.map(({ lanes }) => lanes[0]?.prompt);
    expect(lanesOf('a')).toEqual([[0, 105]]);
    expect(lanesOf(['a', 'b'])).toEqual([
      [0, 105],
      [0, 106],
    ]);
    expect(lanesOf([105, 106])).toEqual([[105, 106]]);
    expect(lanesOf([[105], [106, 107]])).toEqual([[105], [106, 107]]);
    expect(lanesOf('')).toEqual([[0]]);
  });

  test('reads null as left out, and ignores fields it does not know', () => {
    const nulls = { temperature: null, stop: null, logit_bias: null, seed: null, alignment: null };
    expect(planOf({ ...nulls, user: 'u', metadata: { a: 1 }, store: true, nonsense: [] })).toEqual(
      planOf({}),
    );
  });

  test('keeps a 64-bit view of any safe integer as its seed', () => {
    expect(planOf({ seed: -1 }).opening.seed).toBe(2n ** 64n - 1n);
    expect(planOf({ seed: 2 ** 53 - 1 }).opening.seed).toBe(2n ** 53n - 1n);
  });

  test('leaves 16 tokens, or as many as fit', () => {
    expect(complete({ prompt: 'x'.repeat(373) }).plan.opening.maxTokens).toBe(10);
  });

  test('counts prompt and max_tokens against the context to the token', () => {
    expect(planOf({ prompt: 'x'.repeat(378) }).opening.maxTokens).toBe(5);
    const error = refusal(complete, { ...ok, prompt: 'x'.repeat(379) });
    expect(error).toMatchObject({ code: 'context_length_exceeded', param: 'max_tokens' });
    expect(error.message).toContain('380 tokens');
    expect(error.message).toContain('holds 384');
    expect(error.message).toContain('at most 4');
    expect(refusal(complete, { ...ok, prompt: 'x'.repeat(384) })).toMatchObject({
      code: 'context_length_exceeded',
      param: 'prompt',
    });
  });

  test('reads a literal extra_body as the Python SDK would have sent it', () => {
    const alignment = { guides: [{ model: 'arm-happy', weight: 1 }] };
    expect(planOf({ extra_body: { alignment, seed: 3 }, seed: 4 })).toEqual(
      planOf({ alignment, seed: 4 }),
    );
  });

  test('with log-probs or explain sends draws', () => {
    expect(planOf({ logprobs: 0 })).toMatchObject({ draws: true });
    expect(planOf({ logprobs: 5 }).opening.record).toEqual({
      top: 5,
      guides: false,
      states: false,
    });
    expect(planOf({ alignment: { explain: true } })).toMatchObject({ draws: true });
  });
});

describe('a chat', () => {
  test('has the rest of the context by default', () => {
    expect(chat(chatOk).plan.opening.maxTokens).toBe(384 - 5);
    expect(chat(chatOk).plan.params).toEqual({});
  });

  test('takes text parts, the developer role and both names of the token limit', () => {
    const parts = [
      { type: 'text', text: 'H' },
      { type: 'text', text: 'i' },
    ];
    const same = chat({ messages: [{ role: 'user', content: parts }], max_completion_tokens: 9 });
    expect(same.plan.prompts).toEqual(chat(chatOk).plan.prompts);
    expect(same.plan.opening.maxTokens).toBe(9);
    const developer = [{ role: 'developer', content: 'Be' }, ...chatOk.messages];
    const system = [{ role: 'system', content: 'Be' }, ...chatOk.messages];
    expect(chat({ messages: developer }).plan.prompts).toEqual(
      chat({ messages: system }).plan.prompts,
    );
  });

  test('needs no drafts over HTTP, and streams over a WebSocket', () => {
    const body = { ...chatOk, stream_options: { include_alignment: true } };
    expect(chat(body).plan).toMatchObject({ stream: false, drafts: false });
    expect(parser.chat(body, { ...ambient, socket: true }).plan).toMatchObject({
      stream: true,
      drafts: true,
    });
  });

  test('passes on what the template refuses', () => {
    const error = refusal(chat, { messages: [{ role: 'assistant', content: 'x' }] });
    expect(error).toMatchObject({ code: 'invalid_value', param: 'messages' });
  });
});

describe('a preset', () => {
  test('stands in for the parts that are left out', () => {
    const plan = planOf({ model: 'tales:happy' });
    expect(plan.opening.guidance).toMatchObject({ uses: [{ weight: 0.5 }], maxKl: 2 });
    const replaced = planOf({ model: 'tales:happy', alignment: { guides: [], plausibility: 0.1 } });
    expect(replaced.opening.guidance).toMatchObject({
      uses: [],
      maxKl: 2,
      plausibility: 0.1,
    });
  });

  test('caps what a request may generate', () => {
    expect(chat({ ...chatOk, model: 'tales:happy' }).plan.opening.maxTokens).toBe(256);
    expect(chat({ ...chatOk, model: 'tales:happy', n: 4 }).plan.opening.maxTokens).toBe(64);
    const error = refusal(chat, { ...chatOk, model: 'tales:happy', max_tokens: 300 });
    expect(error).toMatchObject({ code: 'invalid_value', param: 'max_tokens' });
  });
});

const wrongFields: [fields: object, code: string, param: string | null][] = [
  [{ prompt: 5 }, 'invalid_value', 'prompt'],
  [{ prompt: undefined }, 'invalid_value', 'prompt'],
  [{ prompt: [] }, 'invalid_value', 'prompt'],
  [{ prompt: [[]] }, 'invalid_value', 'prompt[0]'],
  [{ prompt: ['a', 5] }, 'invalid_value', 'prompt[1]'],
  [{ prompt: [1, 2, 99999999] }, 'invalid_value', 'prompt[2]'],
  [{ prompt: [-1] }, 'invalid_value', 'prompt[0]'],
  [{ prompt: [1.5] }, 'invalid_value', 'prompt[0]'],
  [{ prompt: Array(65).fill('a') }, 'invalid_value', 'prompt'],
  [{ prompt: 'a '.repeat(400_000) }, 'context_length_exceeded', 'prompt'],
  [{ prompt: 'x\ud800y' }, 'invalid_value', 'prompt'],
  [{ model: 'nope' }, 'model_not_found', 'model'],
  [{ model: 'arm-happy' }, 'model_not_found', 'model'],
  [{ model: 7 }, 'invalid_value', 'model'],
  [{ max_tokens: 0 }, 'invalid_value', 'max_tokens'],
  [{ prompt_logprobs: 0 }, 'invalid_value', 'prompt_logprobs'],
  [{ max_tokens: -1 }, 'invalid_value', 'max_tokens'],
  [{ max_tokens: 1e9 }, 'context_length_exceeded', 'max_tokens'],
  [{ max_tokens: 1.5 }, 'invalid_value', 'max_tokens'],
  [{ n: 0 }, 'invalid_value', 'n'],
  [{ n: 100_000 }, 'invalid_value', 'n'],
  [{ n: 33, prompt: ['a', 'b'] }, 'invalid_value', 'n'],
  [{ temperature: 'hot' }, 'invalid_value', 'temperature'],
  [{ temperature: -1 }, 'invalid_value', 'temperature'],
  [{ temperature: Infinity }, 'invalid_value', 'temperature'],
  [{ temperature: Number.NaN }, 'invalid_value', 'temperature'],
  [{ top_p: 2 }, 'invalid_value', 'top_p'],
  [{ top_k: -2 }, 'invalid_value', 'top_k'],
  [{ min_p: 1.1 }, 'invalid_value', 'min_p'],
  [{ presence_penalty: 3 }, 'invalid_value', 'presence_penalty'],
  [{ frequency_penalty: -3 }, 'invalid_value', 'frequency_penalty'],
  [{ repetition_penalty: 0 }, 'invalid_value', 'repetition_penalty'],
  [{ seed: 2 ** 53 }, 'invalid_value', 'seed'],
  [{ seed: '1' }, 'invalid_value', 'seed'],
  [{ stop: Array(1000).fill('a') }, 'invalid_value', 'stop'],
  [{ stop: ['a', ''] }, 'invalid_value', 'stop[1]'],
  [{ stop: 'x'.repeat(65) }, 'invalid_value', 'stop'],
  [{ stop: 5 }, 'invalid_value', 'stop'],
  [{ stop: ['\udc00'] }, 'invalid_value', 'stop[0]'],
  [{ logit_bias: { 99999999: 1 } }, 'invalid_value', 'logit_bias'],
  [{ logit_bias: { a: 1 } }, 'invalid_value', 'logit_bias'],
  [{ logit_bias: { '-1': 1 } }, 'invalid_value', 'logit_bias'],
  [{ logit_bias: { 5: 101 } }, 'invalid_value', 'logit_bias.5'],
  [{ logit_bias: { 5: '1' } }, 'invalid_value', 'logit_bias.5'],
  [{ logit_bias: { 5: -Infinity } }, 'invalid_value', 'logit_bias.5'],
  [{ logit_bias: [1] }, 'invalid_value', 'logit_bias'],
  [
    { logit_bias: Object.fromEntries(Array.from({ length: 301 }, (_, i) => [i, 1])) },
    'invalid_value',
    'logit_bias',
  ],
  [{ stream: 'yes' }, 'invalid_value', 'stream'],
  [{ stream_options: 1 }, 'invalid_value', 'stream_options'],
  [{ stream_options: { include_usage: 1 } }, 'invalid_value', 'stream_options.include_usage'],
  [{ logprobs: 21 }, 'invalid_value', 'logprobs'],
  [{ logprobs: true }, 'invalid_value', 'logprobs'],
  [{ max_tokens: 0 }, 'invalid_value', 'max_tokens'],
  [{ max_tokens: 0, echo: true, best_of: 2 }, 'invalid_value', 'max_tokens'],
  [
    { max_tokens: 0, echo: true, alignment: { rewards: [{ model: 'rm-happy-a' }] } },
    'invalid_value',
    'max_tokens',
  ],
  [
    { logprobs: 1, echo: true, alignment: { budget: { ms: 100 } } },
    'invalid_value',
    'alignment.budget.ms',
  ],
  [
    {
      logprobs: 1,
      echo: true,
      alignment: { guides: [{ model: 'arm-happy', prompt: { text: 'Be kind.' } }] },
    },
    'invalid_value',
    'alignment.guides[0].prompt',
  ],
  [
    { logprobs: 1, echo: true, alignment: { guides: [{ value: 'rm-happy-a', weight: 1 }] } },
    'invalid_value',
    'alignment.guides',
  ],
  [{ logprobs: 20, echo: true, prompt: 'x'.repeat(200) }, 'invalid_value', 'logprobs'],
  [{ suffix: 'end' }, 'invalid_value', 'suffix'],
  [{ best_of: 2, n: 4 }, 'invalid_value', 'best_of'],
  [{ best_of: 65 }, 'invalid_value', 'best_of'],
  [{ best_of: 4, alignment: { strategy: { type: 'sample' } } }, 'invalid_value', 'best_of'],
  [{ best_of: 1, n: 2 }, 'invalid_value', 'best_of'],
  [{ extra_body: 3 }, 'invalid_value', 'extra_body'],
  [{ response_format: { type: 'xml' } }, 'invalid_value', 'response_format.type'],
  [{ response_format: 'json' }, 'invalid_value', 'response_format'],
  [
    { response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'y' } } } },
    'invalid_value',
    'response_format.json_schema.schema.type',
  ],
  [{ tools: [{ type: 'function' }] }, 'invalid_value', 'tools'],
  [{ alignment: 7 }, 'invalid_value', 'alignment'],
];

test.each(wrongFields)('a completion with %o is refused as %s at %s', (fields, code, param) => {
  const error = refusal(complete, { ...ok, ...fields });
  expect(error).toMatchObject({ code, param });
  expect(error.message).not.toMatch(/Invalid input|expected/);
  expect(error.message.length).toBeLessThan(300);
});

test.each([
  [{ messages: [] }, 'messages'],
  [{ messages: undefined }, 'messages'],
  [{ functions: [{ name: 'f' }] }, 'functions'],
  [{ prompt_logprobs: 1 }, 'prompt_logprobs'],
  [{ function_call: 'auto' }, 'function_call'],
  [{ web_search_options: {} }, 'web_search_options'],
  [{ modalities: ['text', 'audio'] }, 'modalities[1]'],
  [{ messages: 'x' }, 'messages'],
  [{ messages: [{ role: 'wizard', content: 'x' }] }, 'messages[0].role'],
  [{ messages: [{ role: 'user', content: 7 }] }, 'messages[0].content'],
  [{ messages: [{ role: 'user' }] }, 'messages[0].content'],
  [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content[0]'],
  [{ messages: [{ role: 'user', content: '\ud800' }] }, 'messages[0].content'],
  [{ messages: Array(limits.messages + 1).fill(chatOk.messages[0]) }, 'messages'],
  [{ top_logprobs: 2 }, 'top_logprobs'],
  [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
  [{ logprobs: 5 }, 'logprobs'],
  [{ max_completion_tokens: 0 }, 'max_completion_tokens'],
])('a chat with %o is refused at %s', (fields, param) => {
  expect(refusal(chat, { ...chatOk, ...fields })).toMatchObject({ code: 'invalid_value', param });
});

test.each([[null], [[]], ['x'], [5], [undefined], [true]])('a body of %o is refused', (body) => {
  expect(refusal(complete, body)).toMatchObject({ code: 'invalid_value', param: null });
});

test('a body may carry a prototype key without harm', () => {
  const body: unknown = JSON.parse('{"__proto__":{"prompt":"x","temperature":9},"model":"tales"}');
  expect(refusal(complete, body)).toMatchObject({ param: 'prompt' });
});
