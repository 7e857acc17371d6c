/** Every metric in one table: its unit is in its name, its help is the question it answers. Labels are closed sets, never ids or prompts. */

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { EngineSnapshot } from '../core/inference.ts';

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120];
const GAPS = [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const TOKENS = [1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192];
const SCORES = [-20, -10, -5, -2, -1, -0.5, -0.2, 0, 0.2, 0.5, 1, 2, 5, 10, 20];
const COUNTS = [1, 2, 4, 8, 16, 32, 64];
const NATS = [0.001, 0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 4, 8, 16];

/** Observed as requests pass; names lack the prefix. */
const REQUESTS = {
  requests_total: {
    help: 'How many requests ended, and how? model is their policy; code is ok, cancelled or an error code.',
    labels: ['endpoint', 'model', 'strategy', 'code'],
  },
  requests_cancelled_total: {
    help: 'When do clients leave: waiting for the first token, or while tokens come?',
    labels: ['phase'],
  },
  prompt_tokens_total: { help: 'How many prompt tokens did clients send?', labels: [] },
  generation_tokens_total: { help: 'How many tokens did answers hold?', labels: [] },
  generated_tokens_total: {
    help: 'How many policy tokens were drawn, those of dropped branches included?',
    labels: [],
  },
  guide_tokens_total: { help: 'How many tokens did guides read?', labels: [] },
  reward_tokens_total: { help: 'How many tokens did reward models read?', labels: [] },
  pruned_tokens_total: { help: 'How many tokens were drawn for dropped branches?', labels: [] },
  tokens_saved_total: { help: 'How many tokens did pruning leave undrawn?', labels: [] },
  guided_requests_total: { help: 'How many requests used this many guides?', labels: ['guides'] },
  steered_requests_total: {
    help: 'How many requests were steered by this many vectors?',
    labels: ['vectors'],
  },
  candidates_total: { help: 'What became of the candidates of searches?', labels: ['outcome'] },
  reward_failures_total: {
    help: 'How often was a reward left out? outcome is failed or slow.',
    labels: ['reward', 'outcome'],
  },
  budget_exhausted_total: {
    help: 'How many answers were the best so far when this budget was spent?',
    labels: ['budget'],
  },
  ws_slow_closed_total: {
    help: 'How many WebSocket and SSE readers were closed for not reading?',
    labels: [],
  },
} as const;

const DURATIONS = {
  time_to_first_token_seconds: {
    help: 'How long until the first token? Whole answers count queue and prefill.',
    buckets: SECONDS,
  },
  inter_token_latency_seconds: {
    help: 'How long between tokens of one answer? Whole answers count their mean once.',
    buckets: GAPS,
  },
  e2e_request_latency_seconds: {
    help: 'How long did requests take, first byte in to last byte out?',
    buckets: SECONDS,
  },
  request_gateway_time_seconds: {
    help: 'How long did the HTTP process work on a request? phase is plan (until inference had it, its body read) or write.',
    buckets: GAPS,
    labels: ['phase'],
  },
  request_queue_time_seconds: {
    help: 'How long did requests wait for admission to the engine?',
    buckets: SECONDS,
  },
  request_prefill_time_seconds: {
    help: 'How long did it take to read prompts?',
    buckets: SECONDS,
  },
  request_prompt_tokens: { help: 'How long are prompts, in tokens?', buckets: TOKENS },
  request_generation_tokens: { help: 'How long are answers, in tokens?', buckets: TOKENS },
  first_visible_token_seconds: {
    help: 'How long until a streaming client sees text? In a search, long after the first token.',
    buckets: SECONDS,
  },
  reward_eval_seconds: {
    help: 'How long did a request wait for the scores of one call of a reward?',
    buckets: SECONDS,
    labels: ['reward'],
  },
  reward_score: {
    help: 'What did rewards say of candidates, before transforms?',
    buckets: SCORES,
    labels: ['reward'],
  },
  reward_gain: {
    help: 'How much better is the chosen candidate than the mean of all that were judged to the end?',
    buckets: NATS,
  },
  effective_sample_size: {
    help: 'How many particles still count at a decision? Near 1 one of them has all the weight.',
    buckets: COUNTS,
  },
  ensemble_disagreement: {
    help: 'How far do the members of an ensemble disagree on the chosen candidate? Deviation.',
    buckets: NATS,
  },
  kl_nats_per_token: {
    help: 'How far does guidance bend answers? Sum over tokens of log pi - log p, over tokens.',
    buckets: NATS,
  },
} as const;

interface Distribution {
  readonly help: string;
  readonly buckets: readonly number[];
  readonly labels?: readonly string[];
}

type Figure = readonly [help: string, read: (snapshot: EngineSnapshot) => number];

/** Read from the engine when the page is scraped. */
const GAUGES: Readonly<Record<string, Figure>> = {
  requests_running: ['How many requests hold KV rows now?', (s) => s.requestsRunning],
  requests_waiting: ['How many requests wait for admission now?', (s) => s.requestsWaiting],
  kv_cache_usage_ratio: ['What share of the fullest pool of KV rows is in use?', (s) => s.kvUsage],
  prefix_cache_bytes: ['How much memory do cached prompts hold?', (s) => s.prefixBytes],
  score_cache_bytes: ['How much memory do remembered scores hold?', (s) => s.scoreBytes],
  rule_cache_bytes: [
    'How much memory does inference hold of rules that were asked for?',
    (s) => s.ruleBytes,
  ],
  inference_resident_bytes: ['How much memory does inference hold?', (s) => s.residentBytes],
  inference_heap_bytes: ['How much of that are JavaScript objects?', (s) => s.heapBytes],
  inference_heap_total_bytes: [
    'How much of that does V8 hold for them, with garbage and room to grow?',
    (s) => s.heapTotalBytes,
  ],
  inference_array_bytes: [
    'How much of that are arrays: KV, logits, cached prompts? Rows not used yet count.',
    (s) => s.arrayBytes,
  ],
};

const COUNTERS: Readonly<Record<string, Figure>> = {
  iterations_total: ['How many iterations did the engine run?', (s) => s.iterations],
  iteration_rows_total: [
    'How many rows were decoded? Over iterations: the batch size.',
    (s) => s.rows,
  ],
  iteration_seconds_total: ['How long did iterations take, all told?', (s) => s.iterationSeconds],
  iteration_decode_seconds_total: ['How long of that was decoding?', (s) => s.decodeSeconds],
  iteration_prefill_seconds_total: ['How long of that was prefill?', (s) => s.prefillSeconds],
  prefill_tokens_total: ['How many prompt tokens did models read?', (s) => s.prefillTokens],
  prefix_cache_queries_total: ['How often was a prompt looked up?', (s) => s.prefixQueries],
  prefix_cache_hits_total: ['How often was a prompt, or its start, cached?', (s) => s.prefixHits],
};

/** Caches of this process; each says what it holds when the page is scraped. */
const HELD = {
  response_store_bytes: 'How much memory do answers hold that may be gone on from?',
  compiled_rule_bytes: 'How much memory does the HTTP process hold of rules that were asked for?',
} as const;

/** Three of prom-client's gauges end in _total, which promtool refuses. */
const REFUSED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

type CounterName = keyof typeof REQUESTS;
type DurationName = keyof typeof DURATIONS;
type HeldName = keyof typeof HELD;

/** What is counted of open sockets. */
interface Buffering {
  readonly bufferedAmount: number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #held = new Map<HeldName, () => number>();
  /** Open WebSockets. */
  readonly sockets = new Set<Buffering>();

  constructor() {
    const registers = [this.#registry];
    for (const [name, { help, labels }] of Object.entries(REQUESTS))
      this.#counters.set(
        name,
        new Counter({ ...named(name, help), labelNames: labels, registers }),
      );
    for (const [name, { help, buckets, labels }] of Object.entries<Distribution>(DURATIONS))
      this.#histograms.set(
        name,
        new Histogram({
          ...named(name, help),
          buckets: [...buckets],
          labelNames: labels ?? [],
          registers,
        }),
      );
    for (const [name, [help]] of Object.entries(GAUGES)) this.#gauge(name, help);
    for (const [name, [help]] of Object.entries(COUNTERS))
      this.#counters.set(name, new Counter({ ...named(name, help), registers }));
    this.#counters.set(
      'model_forwards_total',
      new Counter({
        ...named('model_forwards_total', 'How many forward passes did each model run?'),
        labelNames: ['model'],
        registers,
      }),
    );
    for (const [name, help] of Object.entries(HELD)) this.#gauge(name, help);
    this.#gauge('ws_connections', 'How many WebSockets are open?');
    this.#gauge('ws_buffered_bytes', 'How many bytes wait for slow WebSocket readers?');
    collectDefaultMetrics({ register: this.#registry });
    for (const name of REFUSED) this.#registry.removeSingleMetric(name);
  }

  #gauge(name: string, help: string): void {
    const registers = [this.#registry];
    this.#gauges.set(name, new Gauge({ ...named(name, help), registers }));
  }

  count(name: CounterName, by = 1, labels: Record<string, string> = {}): void {
    this.#counters.get(name)?.inc(labels, by);
  }

  observe(name: DurationName, value: number, labels: Record<string, string> = {}): void {
    this.#histograms.get(name)?.observe(labels, value);
  }

  /** @param bytes asked for what a cache of this process holds, whenever the page is scraped */
  hold(name: HeldName, bytes: () => number): void {
    this.#held.set(name, bytes);
  }

  /** The page, in Prometheus' text format. */
  async page(snapshot: EngineSnapshot): Promise<string> {
    for (const [name, [, read]] of Object.entries(GAUGES))
      this.#gauges.get(name)?.set(read(snapshot));
    for (const [name, [, read]] of Object.entries(COUNTERS)) this.#total(name, read(snapshot), {});
    this.#counters.get('model_forwards_total')?.reset();
    for (const [model, forwards] of Object.entries(snapshot.forwards))
      this.#counters.get('model_forwards_total')?.inc({ model }, forwards);
    for (const [name, bytes] of this.#held) this.#gauges.get(name)?.set(bytes());
    this.#gauges.get('ws_connections')?.set(this.sockets.size);
    const buffered = [...this.sockets].reduce((sum, socket) => sum + socket.bufferedAmount, 0);
    this.#gauges.get('ws_buffered_bytes')?.set(buffered);
    return this.#registry.metrics();
  }

  /** The engine counts by itself, from its own start. */
  #total(name: string, value: number, labels: Record<string, string>): void {
    const counter = this.#counters.get(name);
    counter?.reset();
    counter?.inc(labels, value);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}

const named = (name: string, help: string) => ({ name: `coxswain_${name}`, help });
