/** The config file: read, checked, frozen. Every bound of the server is in it, and has a default. */

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { ServeError } from '../core/errors.ts';
import { check, integer, list, number, oneOf, strict, table, text } from '../core/fields.ts';
import { keySchema, resolveKeys } from './keys.ts';
import type { Key } from './keys.ts';

/** What the operator got wrong; its message is meant for them, and the server does not start. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };
const SIZE = 'a number of bytes, or one with a unit (1024 based) such as 64MB or 1GB';

const size = z
  .union([z.int().min(0, SIZE), z.string()], { error: SIZE })
  .transform((raw, context) => {
    if (typeof raw === 'number') return raw;
    const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(B|KB|MB|GB)$/.exec(raw) ?? [];
    if (amount !== undefined && unit !== undefined)
      return Math.floor(Number(amount) * (UNITS[unit] ?? 1));
    context.addIssue({ code: 'custom', message: SIZE, input: raw });
    return z.NEVER;
  });

const keyName = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'keyed by names of letters, digits, dots and dashes');
const origin = z
  .string()
  .regex(/^(\*|[a-z][a-z0-9+.-]*:\/\/[^/\s]+)$/i, '* or an origin such as https://app.example');

const server = strict({
  host: text(255, 1).default('127.0.0.1'),
  port: integer(0, 65535).default(8000),
  log: oneOf(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Whether the log holds the bodies of requests; answers never are. */
  log_prompts: z.boolean('true or false').default(false),
  /** How long running requests may go on once the server was told to stop. */
  drain_ms: integer(0, 3_600_000).default(30_000),
  /** API keys by name, which stands in the log; none: everybody is let in. */
  keys: table(keyName, keySchema, 'an object of keys by name').default({}),
  /** Routes beside /health that need no key. */
  open_routes: list(oneOf(['/ready', '/metrics', '/version']), 8).default([]),
  /** Origins of web pages that may call, such as https://app.example; `*`: all. */
  origins: list(origin, 1000).default([]),
  header_bytes: size.default(16 * 1024),
  body_bytes: size.default(2 ** 20),
  /** How long a client may take to send its request. */
  request_ms: integer(100, 3_600_000).default(30_000),
  /** How long a reader may let its answer wait before it is closed. */
  slow_reader_ms: integer(10, 3_600_000).default(30_000),
  connections: integer(1, 1_000_000).default(2048),
  sockets: integer(1, 100_000).default(256),
  socket_streams: integer(1, 1024).default(16),
  socket_buffer_bytes: size.default(256 * 1024),
  socket_ping_ms: integer(10, 3_600_000).default(30_000),
  /** How long a WebSocket of /v1/responses may be used. */
  socket_ms: integer(100, 86_400_000).default(3_600_000),
  /** Answers of /v1/responses that are kept to be gone on from; the oldest make room. */
  responses: strict({
    entries: integer(1, 1_000_000).default(1000),
    bytes: size.default(64 * 2 ** 20),
    /** Those that are not to be stored may still be gone on from on their own socket. */
    socket_entries: integer(1, 1024).default(16),
    socket_bytes: size.default(2 ** 20),
  }).prefault({}),
});

const engine = strict({
  kv_slots: integer(1, 65_536).default(64),
  max_seq: integer(8, 1_000_000).default(384),
  kv_bytes: size.default(2 ** 30),
  iteration_tokens: integer(8, 1_000_000).default(512),
  prefix_bytes: size.default(64 * 2 ** 20),
  queue: integer(1, 100_000).default(256),
  /** Tokens of one run of a reward model: decoding waits no longer than such a run. */
  reward_tokens: integer(8, 1_000_000).default(256),
  /** Compiled rules that are remembered, in each process. */
  rule_bytes: size.default(32 * 2 ** 20),
  /** KV that reward models with a scalar head keep of what they read lately, shared equally. */
  reward_kv_bytes: size.default(64 * 2 ** 20),
  /** Scores that are remembered. */
  reward_bytes: size.default(16 * 2 ** 20),
  /** 0: as many as there are cores. */
  threads: integer(0, 1024).default(0),
  /** Whether those threads wait busily between operators: faster alone, at the cost of what else wants the cores. */
  spin: z.boolean('true or false').default(true),
});

const limits = strict({
  branches: integer(1, 65_536).default(64),
  tokens: integer(1, 2 ** 31).default(65_536),
  budget_ms: integer(1, 2 ** 31 - 1).default(600_000),
  guides: integer(0, 64).default(4),
  rewards: integer(0, 64).default(8),
  /** Steps that one text may be judged in. */
  steps: integer(1, 4096).default(64),
  /** Questions or follow-up lines of one reward, and the characters of each. */
  questions: integer(1, 1024).default(16),
  question_length: integer(1, 1_000_000).default(2000),
  documents: integer(1, 65_536).default(128),
  stops: integer(0, 1024).default(4),
  stop_length: integer(1, 4096).default(64),
  logit_bias: integer(0, 100_000).default(300),
  top_logprobs: integer(0, 64).default(20),
  messages: integer(1, 10_000).default(256),
  tools: integer(0, 1024).default(128),
  weight: number(0, 1000).default(16),
  /** A JSON schema: its size, how deep schemas nest, how many there are, values in all enums, characters of a pattern. */
  schema_bytes: size.default(64 * 1024),
  schema_depth: integer(1, 64).default(32),
  schemas: integer(1, 100_000).default(2000),
  schema_values: integer(1, 100_000).default(2000),
  schema_pattern: integer(1, 100_000).default(1000),
  /** States that a schema, pattern or grammar may compile to. */
  rule_states: integer(16, 1_000_000).default(20_000),
});

const model = strict({
  path: text(4096, 1),
  role: oneOf(['policy', 'guide', 'reward', 'value']),
  head: oneOf(['scalar']).optional(),
  reads: oneOf(['prefix', 'complete']).optional(),
  /** Rewards: how long a request waits for its scores before it goes on without them. */
  timeout_ms: integer(10, 3_600_000).default(30_000),
  /** Policies: how much KV memory theirs is, against the others'; those of one vocabulary add up. */
  kv_share: number(0.001, 1000).optional(),
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
  url: z.url({ protocol: /^https?$/, error: 'an http or https URL' }),
  headers: table(text(128, 1), header, 'an object of headers by name').default({}),
  reads: oneOf(['prefix', 'complete']).default('complete'),
  /** How long a request waits for it, and how long it may take to answer once. */
  timeout_ms: integer(10, 3_600_000).default(5000),
  attempt_ms: integer(10, 3_600_000).default(2000),
  retries: integer(0, 10).default(1),
  request_bytes: size.default(2 ** 20),
  response_bytes: size.default(2 ** 20),
  /** Texts of one call, calls at a time, and calls that may wait. */
  batch: integer(1, 65_536).default(32),
  in_flight: integer(1, 1024).default(4),
  queue: integer(0, 65_536).default(256),
  /** Failures in a row after which it is not asked again for a while; then by one call first. */
  failures: integer(1, 1000).default(5),
  half_open_ms: integer(10, 3_600_000).default(10_000),
});

const presetFields = {
  policy: text(256, 1).nullish(),
  max_cost: integer(1, 2 ** 31).nullish(),
};
const preset = z
  .looseObject(presetFields, 'an object as `alignment` in a request')
  .transform(({ policy, max_cost: maxCost, ...alignment }) => ({
    policy: policy ?? null,
    alignment,
    maxCost: maxCost ?? null,
  }));

const schema = strict({
  server: server.prefault({}),
  engine: engine.prefault({}),
  limits: limits.prefault({}),
  policy: text(256, 1),
  models: table(text(256, 1), model, 'an object of models by name'),
  rewards: table(text(256, 1), remote, 'an object of rewards by name').default({}),
  presets: table(text(256, 1), preset, 'an object of presets by name').default({}),
});

type Checked = z.output<typeof schema>;

export type Config = Omit<Checked, 'server'> & {
  readonly server: ServerSettings;
  /** The file it was read from. */
  readonly file: string;
};
export type ServerSettings = Omit<Checked['server'], 'keys'> & {
  readonly keys: Readonly<Record<string, Key>>;
};
export type EngineSettings = Config['engine'];
export type RemoteEntry = Config['rewards'][string];
export type ModelEntry = Config['models'][string];

/** Same place from src/ and from dist/. */
const EMBEDDED = fileURLToPath(new URL('../../config/default.yaml', import.meta.url));

/**
 * Reads a config file; model paths come back absolute.
 * @param file null for the embedded default
 * @throws ConfigError that names the file and the key
 */
export function readConfig(file: string | null): Config {
  const path = resolve(file ?? EMBEDDED);
  const config = checked(path, parsed(path));
  if (!Object.hasOwn(config.models, config.policy))
    throw new ConfigError(
      `${path}: policy is ${config.policy}, which is not among models: ${Object.keys(config.models).join(', ')}`,
    );
  const models = Object.entries(config.models).map(([name, entry]): [string, ModelEntry] => [
    name,
    { ...entry, path: resolve(dirname(path), entry.path) },
  ]);
  const server = { ...config.server, keys: keysOf(path, config) };
  return { ...config, server, models: Object.fromEntries(models), file: path };
}

function keysOf(path: string, { server, models, presets }: Checked): ServerSettings['keys'] {
  for (const [key, { models: names = [] }] of Object.entries(server.keys)) {
    const unknown = names.find(
      (name) => !Object.hasOwn(models, name) && !Object.hasOwn(presets, name),
    );
    if (unknown !== undefined)
      throw new ConfigError(
        `${path}: server.keys.${key}.models has ${unknown}, which is neither a model nor a preset`,
      );
  }
  try {
    return resolveKeys(server.keys, process.env);
  } catch (error) {
    throw new ConfigError(`${path}: ${reason(error)}`);
  }
}

function parsed(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(`${path}: ${reason(error)}`);
  }
}

function checked(path: string, raw: unknown): Checked {
  try {
    return check(schema, raw ?? {}, '');
  } catch (error) {
    if (error instanceof ServeError) throw new ConfigError(`${path}: ${error.message}`);
    throw error;
  }
}

/** What a file system or parser says, in one line. */
export const reason = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
