/** What is served, for the OpenAPI document: one line per route. A test compares them with the routes that there are. */

import type { AnswerName } from './answers.ts';

export interface Operation {
  readonly method: 'get' | 'post' | 'delete';
  /** With `{name}` where a part of it names something. */
  readonly path: string;
  readonly id: string;
  readonly tag: 'generation' | 'responses' | 'judging' | 'models' | 'tokens' | 'operators';
  readonly summary: string;
  /** The schema of its body. */
  readonly body?: string;
  /** Null: an empty body; text: what is not JSON. */
  readonly answer: AnswerName | 'text' | null;
  /** Answers in pieces where the request has `stream: true`. */
  readonly stream?: { readonly event: AnswerName; readonly about: string };
  /** Takes the parameters of a page. */
  readonly paged?: true;
}

const CHUNKS =
  'Each event is `data: ` and a chunk; `data: [DONE]` is last. A failure in mid-answer is `data: {"error": ...}`. ' +
  'The usage chunk, whose `choices` are empty, comes where `stream_options.include_usage` asks for it. ' +
  'The same path takes a WebSocket upgrade: docs/api.md has its frames.';
const EVENTS =
  'Each event is `event: ` with its type and `data: ` with its JSON, numbered from 0; `response.completed`, `.incomplete` or `.failed` is last. ' +
  'The same path takes a WebSocket upgrade, in the mode of OpenAI’s `ResponsesWS`.';

const get = (path: string, id: string, rest: Omit<Operation, 'method' | 'path' | 'id'>) =>
  ({ method: 'get', path, id, ...rest }) as const;
const post = (path: string, id: string, rest: Omit<Operation, 'method' | 'path' | 'id'>) =>
  ({ method: 'post', path, id, ...rest }) as const;

const rerank = (path: string, id: string) =>
  post(path, id, {
    tag: 'judging',
    summary: 'Sort documents by what a reward makes of them after a query',
    body: 'RerankRequest',
    answer: 'Ranking',
  });

export const operations: readonly Operation[] = [
  post('/v1/chat/completions', 'createChatCompletion', {
    tag: 'generation',
    summary: 'Answer a conversation',
    body: 'ChatCompletionRequest',
    answer: 'ChatCompletion',
    stream: { event: 'ChatCompletionChunk', about: CHUNKS },
  }),
  post('/v1/completions', 'createCompletion', {
    tag: 'generation',
    summary: 'Continue prompts',
    body: 'CompletionRequest',
    answer: 'Completion',
    stream: { event: 'Completion', about: CHUNKS },
  }),
  post('/v1/responses', 'createResponse', {
    tag: 'responses',
    summary: 'Answer items, and keep the answer to be gone on from',
    body: 'ResponseRequest',
    answer: 'Response',
    stream: { event: 'ResponseEvent', about: EVENTS },
  }),
  get('/v1/responses/{id}', 'getResponse', {
    tag: 'responses',
    summary: 'A response that is kept',
    answer: 'Response',
  }),
  {
    method: 'delete',
    path: '/v1/responses/{id}',
    id: 'deleteResponse',
    tag: 'responses',
    summary: 'Forget a response',
    answer: 'DeletedResponse',
  },
  get('/v1/responses/{id}/input_items', 'listInputItems', {
    tag: 'responses',
    summary: 'What a response was asked, page by page',
    answer: 'InputItems',
    paged: true,
  }),
  post('/v1/responses/{id}/cancel', 'cancelResponse', {
    tag: 'responses',
    summary: 'End a response that streams on another connection',
    answer: 'Response',
  }),
  post('/v1/score', 'score', {
    tag: 'judging',
    summary: 'Judge texts or conversations',
    body: 'ScoreRequest',
    answer: 'Scores',
  }),
  rerank('/v1/rerank', 'rerank'),
  rerank('/rerank', 'rerankUnversioned'),
  rerank('/v2/rerank', 'rerankV2'),
  post('/tokenize', 'tokenize', {
    tag: 'tokens',
    summary: 'Any model’s token ids of a text or a conversation',
    body: 'TokenizeRequest',
    answer: 'Tokens',
  }),
  post('/detokenize', 'detokenize', {
    tag: 'tokens',
    summary: 'The text of token ids',
    body: 'DetokenizeRequest',
    answer: 'Text',
  }),
  get('/v1/models', 'listModels', {
    tag: 'models',
    summary: 'Policies and presets that this caller may use',
    answer: 'Models',
  }),
  get('/v1/models/{name}', 'getModel', {
    tag: 'models',
    summary: 'Any model or preset; its name may hold slashes',
    answer: 'Model',
  }),
  get('/health', 'health', { tag: 'operators', summary: 'Alive', answer: 'Health' }),
  get('/ping', 'ping', { tag: 'operators', summary: 'Alive, in no words', answer: null }),
  get('/ready', 'ready', {
    tag: 'operators',
    summary: 'Ready to serve; 503 where it is not',
    answer: 'Readiness',
  }),
  get('/load', 'load', { tag: 'operators', summary: 'Requests in flight', answer: 'Load' }),
  get('/version', 'version', { tag: 'operators', summary: 'The version', answer: 'Version' }),
  get('/metrics', 'metrics', {
    tag: 'operators',
    summary: 'Every figure, for Prometheus',
    answer: 'text',
  }),
  get('/openapi.json', 'openapi', {
    tag: 'operators',
    summary: 'This document',
    answer: 'Document',
  }),
];
