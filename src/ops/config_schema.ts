/** Every setting of the server, with its bounds, its default and what it is for. docs/config.md is made of this. */

import { z } from 'zod';
import { integer, list, number, oneOf, strict, table, text } from '../core/fields.ts';
import { keySchema } from './keys.ts';
import { limits } from './limits_schema.ts';
import { model } from './model_schema.ts';
import { size } from './size_field.ts';

const keyName = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'keyed by names of letters, digits, dots and dashes');
const origin = z
  .string()
  .regex(/^(\*|[a-z][a-z0-9+.-]*:\/\/[^/\s]+)$/i, '* or an origin such as https://app.example');
const onOff = z.boolean('true or false');
const ms = (least: number, most = 3_600_000) => integer(least, most);

const responses = strict({
  entries: integer(1, 1_000_000).default(1000).describe('How many are kept.'),
  bytes: size.default(64 * 2 ** 20).describe('And how large they may be together.'),
  socket_entries: integer(1, 1024)
    .default(16)
    .describe('Those that are not to be stored may still be gone on from on their own WebSocket.'),
  socket_bytes: size.default(2 ** 20).describe('How large these may be together.'),
});

const server = strict({
  host: text(255, 1).default('127.0.0.1').describe('The address to listen on.'),
  port: integer(0, 65535).default(8000).describe('The port; 0: any that is free.'),
  log: oneOf(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('The least that is logged, as JSON lines on standard error.'),
  log_bytes: size
    .default(4 * 2 ** 20)
    .describe(
      'Lines that may wait where the log is not read or cannot be written; more are dropped.',
    ),
  log_prompts: onOff
    .default(false)
    .describe('Whether the log holds the bodies of requests; answers never are.'),
  tracing: onOff
    .default(false)
    .describe(
      'A span for each request, by OpenTelemetry: docs/tracing.md. Needs the package `@opentelemetry/api`.',
    ),
  drain_ms: ms(0)
    .default(30_000)
    .describe('How long running requests may go on once the server was told to stop.'),
  keys: table(keyName, keySchema, 'an object of keys by name')
    .default({})
    .describe('API keys by name, which stands in the log; none: everybody is let in.'),
  open_routes: list(oneOf(['/ready', '/ping', '/load', '/metrics', '/version']), 8)
    .default([])
    .describe('Routes beside `/health` that need no key.'),
  origins: list(origin, 1000)
    .default([])
    .describe('Origins of web pages that may call, such as `https://app.example`; `*`: all.'),
  header_bytes: size.default(16 * 1024).describe('Most bytes of a request’s headers.'),
  body_bytes: size.default(2 ** 20).describe('Most bytes of a request’s body, and of a frame.'),
  request_ms: ms(100).default(30_000).describe('How long a client may take to send its request.'),
  slow_reader_ms: ms(10)
    .default(25_000)
    .describe('How long a reader may let its answer wait before it is closed.'),
  connections: integer(1, 1_000_000).default(2048).describe('Connections at a time.'),
  sockets: integer(1, 100_000).default(256).describe('WebSockets at a time.'),
  socket_streams: integer(1, 1024)
    .default(16)
    .describe('Requests that run or wait on one WebSocket.'),
  socket_buffer_bytes: size
    .default(256 * 1024)
    .describe('What may wait for a slow reader of a WebSocket before its generation pauses.'),
  socket_ping_ms: ms(10)
    .default(30_000)
    .describe('How often a WebSocket is asked whether its client is still there.'),
  scored_texts: integer(1, 1_000_000)
    .default(1024)
    .describe(
      'Texts of `/v1/score` and the reranks that are judged or wait; beyond these a request is refused, unless it is alone.',
    ),
  socket_ms: ms(100, 86_400_000)
    .default(3_600_000)
    .describe('How long a WebSocket of `/v1/responses` may be used.'),
  responses: responses
    .prefault({})
    .describe('Answers of `/v1/responses` that may be gone on from; the oldest make room.'),
});

const engine = strict({
  kv_slots: integer(1, 65_536).default(64).describe('Most sequences that are decoded at once.'),
  max_seq: integer(8, 1_000_000)
    .default(384)
    .describe('Longest sequence, prompt and answer, in tokens.'),
  kv_bytes: size.default(2 ** 30).describe('Memory for the KV of all models.'),
  memory_bytes: size
    .default(0)
    .describe(
      'What weights, KV, workspace and caches may take together, or the server does not start; 0: whatever they take. `coxswain serve --dry-run` says what that is.',
    ),
  device_memory_bytes: size
    .default(0)
    .describe('The same of each device that is not the CPU; 0: whatever they take.'),
  iteration_tokens: integer(8, 1_000_000)
    .default(512)
    .describe('Tokens that one iteration works on: long prompts are read in pieces.'),
  prefix_bytes: size.default(64 * 2 ** 20).describe('Memory for prompts that may come again.'),
  queue: integer(1, 100_000).default(256).describe('Requests that may wait for admission.'),
  reward_tokens: integer(8, 1_000_000)
    .default(64)
    .describe(
      'Most tokens of one run of a reward model; a text that cannot be read in pieces runs whole.',
    ),
  reward_share: number(0.01, 100)
    .default(0.3)
    .describe(
      'How long a run of a reward model may hold up what is decoded beside it, as a share of an iteration: less is smoother streams, more is faster scores.',
    ),
  rule_bytes: size
    .default(32 * 2 ** 20)
    .describe('Compiled rules that are remembered, in each process.'),
  reward_kv_bytes: size
    .default(64 * 2 ** 20)
    .describe('KV that scalar heads keep of what they read lately, shared equally.'),
  reward_bytes: size.default(16 * 2 ** 20).describe('Scores that are remembered.'),
  threads: integer(0, 1024)
    .default(0)
    .describe(
      '0: one for each 8 MB of the largest model that the CPU runs, and no more than there are cores.',
    ),
  stall_ms: ms(1000)
    .default(60_000)
    .describe(
      'How long the inference process may answer nothing, in the middle of one run, before it is ended and started again.',
    ),
  spin: onOff
    .default(true)
    .describe(
      'Whether those threads wait busily between operators: faster alone, at the cost of what else wants the cores.',
    ),
});

/** A header's value, or the environment variable that holds it. */
const header = z
  .union([text(4096), strict({ env: text(256, 1) })], { error: 'a string, or {"env": NAME}' })
  .transform((raw, context) => {
    if (typeof raw === 'string') return raw;
    const value = process.env[raw.env];
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: 'set in the environment', input: raw.env });
    return z.NEVER;
  });

/** A reward that another server computes: this is the only place that can name its address. */
const remote = strict({
  url: z.url({ protocol: /^https?$/, error: 'an http or https URL' }).describe('Where it is.'),
  headers: table(text(128, 1), header, 'an object of headers by name')
    .default({})
    .describe('Sent along; `{env: NAME}`: from the environment.'),
  reads: oneOf(['prefix', 'complete'])
    .default('complete')
    .describe('Whether scores of unfinished answers mean something.'),
  timeout_ms: ms(10).default(5000).describe('How long a request waits for it.'),
  attempt_ms: ms(10).default(2000).describe('How long it may take to answer once.'),
  retries: integer(0, 10).default(1).describe('How often a call is made again.'),
  request_bytes: size.default(2 ** 20).describe('Most bytes of a call.'),
  response_bytes: size.default(2 ** 20).describe('Most bytes of its answer.'),
  batch: integer(1, 65_536).default(32).describe('Texts of one call.'),
  in_flight: integer(1, 1024).default(4).describe('Calls at a time.'),
  queue: integer(0, 65_536).default(256).describe('Calls that may wait.'),
  failures: integer(1, 1000)
    .default(5)
    .describe('Failures in a row after which it is not asked again for a while.'),
  half_open_ms: ms(10)
    .default(10_000)
    .describe('How long that is; then it is asked by one call first.'),
});

const steering = strict({
  path: text(4096, 1).describe('Its safetensors file, relative to this file.'),
  model: text(256, 1).describe('The policy whose states it is added to.'),
});

const presetFields = {
  policy: text(256, 1).nullish().describe('Who answers; left out: the server’s policy.'),
  max_cost: integer(1, 2 ** 31)
    .nullish()
    .describe('Most tokens that one request may generate, over all branches and choices.'),
};
const preset = z
  .looseObject(presetFields, 'an object as `alignment` in a request')
  .transform(({ policy, max_cost: maxCost, ...alignment }) => ({
    policy: policy ?? null,
    alignment,
    maxCost: maxCost ?? null,
  }));

export const configSchema = strict({
  server: server
    .prefault({})
    .describe('The HTTP side: who may call, and how long anything may take.'),
  engine: engine.prefault({}).describe('The inference process: memory, batches, threads.'),
  limits: limits.prefault({}).describe('What one request may ask, at most.'),
  policy: text(256, 1).describe('The model that answers where a request names none.'),
  models: table(text(256, 1), model, 'an object of models by name').describe(
    'Models by name. Each folder holds its manifest, or is one that onnxruntime-genai or Optimum exported: docs/importer.md.',
  ),
  rewards: table(text(256, 1), remote, 'an object of rewards by name')
    .default({})
    .describe('Rewards that other servers compute, by name: `{"http": NAME}` in a request.'),
  steering: table(text(256, 1), steering, 'an object of steering vectors by name')
    .default({})
    .describe(
      'Vectors that requests may add to a policy’s states, by name: `{"vector": NAME}` in `alignment.steering`. `coxswain steer` makes them: docs/steering.md.',
    ),
  presets: table(text(256, 1), preset, 'an object of presets by name')
    .default({})
    .describe(
      'Names that requests may give as `model`. Beside what is listed here, the parts of a request’s `alignment`, as defaults.',
    ),
});
